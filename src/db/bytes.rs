//! Reads integers from untrusted bytes, in a byte order that is known only at run time.
//!
//! Every read returns an `Option`; `None` means that the bytes end too early. Nothing here can panic.

/// The order of the bytes in an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first (amd64, arm64, …).
    Little,
    /// Most significant byte first (sparc64, macppc, …).
    Big,
}

impl ByteOrder {
    /// The byte order of this machine.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };

    /// The u16 at `offset`.
    pub fn u16_at(self, bytes: &[u8], offset: usize) -> Option<u16> {
        array_at(bytes, offset).map(|raw| self.u16_of(raw))
    }

    /// Two bytes as u16.
    pub fn u16_of(self, raw: [u8; 2]) -> u16 {
        match self {
            ByteOrder::Little => u16::from_le_bytes(raw),
            ByteOrder::Big => u16::from_be_bytes(raw),
        }
    }

    /// The u32 at `offset`.
    pub fn u32_at(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let raw = array_at(bytes, offset)?;
        Some(match self {
            ByteOrder::Little => u32::from_le_bytes(raw),
            ByteOrder::Big => u32::from_be_bytes(raw),
        })
    }

    /// The i32 at `offset`.
    pub fn i32_at(self, bytes: &[u8], offset: usize) -> Option<i32> {
        self.u32_at(bytes, offset).map(u32::cast_signed)
    }

    /// The i64 at `offset`.
    pub fn i64_at(self, bytes: &[u8], offset: usize) -> Option<i64> {
        let raw = array_at(bytes, offset)?;
        Some(match self {
            ByteOrder::Little => i64::from_le_bytes(raw),
            ByteOrder::Big => i64::from_be_bytes(raw),
        })
    }

    /// `value` as two bytes.
    pub fn u16_bytes(self, value: u16) -> [u8; 2] {
        match self {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        }
    }

    /// `value` as four bytes.
    pub fn u32_bytes(self, value: u32) -> [u8; 4] {
        match self {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        }
    }

    /// `value` as four bytes.
    pub fn i32_bytes(self, value: i32) -> [u8; 4] {
        self.u32_bytes(value.cast_unsigned())
    }

    /// `value` as eight bytes.
    pub fn i64_bytes(self, value: i64) -> [u8; 8] {
        match self {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        }
    }
}

/// The `N` bytes at `offset`, if there are that many.
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}
