//! Punycode (RFC 3492), the decoding half: what follows `xn--` in an A-label comes in, the U-label
//! goes out. `name` asks, to compare names written in either form.
//!
//! A label of 63 octets has at most 59 of Punycode, so the work is small; longer text is refused.

/// Parameters of RFC 3492, 5.
const BASE: u32 = 36;
const TMIN: u32 = 1;
const TMAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 0x80;

/// The longest label, less `xn--`.
const LONGEST: usize = 59;

/// The text that `encoded` stands for; `None` if it is no Punycode (RFC 3492, 6.2).
pub(super) fn decode(encoded: &[u8]) -> Option<String> {
    if encoded.len() > LONGEST || !encoded.is_ascii() {
        return None;
    }
    let (basic, extended) = match encoded.iter().rposition(|&byte| byte == b'-') {
        Some(at) => (encoded.get(..at)?, encoded.get(at.checked_add(1)?..)?),
        None => (&[][..], encoded),
    };
    let mut output: Vec<char> = basic.iter().copied().map(char::from).collect();
    let (mut n, mut i, mut bias) = (INITIAL_N, 0u32, INITIAL_BIAS);
    let mut digits = extended.iter();
    while !digits.as_slice().is_empty() {
        let start = i;
        i = i.checked_add(generalised_integer(&mut digits, bias)?)?;
        let length = u32::try_from(output.len()).ok()?.checked_add(1)?;
        bias = adapt(i.checked_sub(start)?, length, start == 0)?;
        n = n.checked_add(i.checked_div(length)?)?;
        i = i.checked_rem(length)?;
        output.insert(i as usize, char::from_u32(n)?);
        i = i.checked_add(1)?;
    }
    Some(output.into_iter().collect())
}

/// One variable-length integer (RFC 3492, 3.3).
fn generalised_integer(digits: &mut std::slice::Iter<'_, u8>, bias: u32) -> Option<u32> {
    let (mut value, mut weight, mut k) = (0u32, 1u32, BASE);
    loop {
        let digit = digit(*digits.next()?)?;
        value = value.checked_add(digit.checked_mul(weight)?)?;
        let threshold = k.saturating_sub(bias).clamp(TMIN, TMAX);
        if digit < threshold {
            return Some(value);
        }
        weight = weight.checked_mul(BASE.saturating_sub(threshold))?;
        k = k.checked_add(BASE)?;
    }
}

fn digit(byte: u8) -> Option<u32> {
    match byte {
        b'0'..=b'9' => u32::from(byte).checked_sub(u32::from(b'0'))?.checked_add(26),
        _ => char::from(byte).to_digit(BASE)?.checked_sub(10),
    }
}

/// RFC 3492, 6.1.
fn adapt(delta: u32, points: u32, is_first: bool) -> Option<u32> {
    let damped = if is_first { delta / DAMP } else { delta / 2 };
    let mut delta = damped.checked_add(damped.checked_div(points)?)?;
    let mut k = 0u32;
    while delta > (BASE - TMIN) * TMAX / 2 {
        delta /= BASE - TMIN;
        k = k.checked_add(BASE)?;
    }
    k.checked_add((BASE - TMIN + 1).checked_mul(delta)?.checked_div(delta.checked_add(SKEW)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The samples of RFC 3492, 7.1, and names in use.
    #[test]
    fn samples_of_the_rfc() {
        for (encoded, text) in [
            ("ihqwcrb4cv8a8dqg056pqjye", "他们为什么不说中文"),
            ("Proprostnemluvesky-uyb24dma41a", "Pročprostěnemluvíčesky"),
            ("TisaohkhngthchnitingVit-kjcr8268qyxafd2f1b9g", "TạisaohọkhôngthểchỉnóitiếngViệt"),
            ("3B-ww4c5e180e575a65lsy2b", "3年B組金八先生"),
            ("Hello-Another-Way--fc4qua05auwb3674vfr0b", "Hello-Another-Way-それぞれの場所"),
            ("d9juau41awczczp", "そのスピードで"),
            ("-> $1.00 <--", "-> $1.00 <-"),
            ("bcher-kva", "bücher"),
            ("p1ai", "рф"),
            ("55qx5d", "公司"),
        ] {
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Some(text), "{encoded}");
        }
    }

    #[test]
    fn what_is_no_punycode_is_none() {
        let long = "a".repeat(LONGEST + 1);
        for encoded in ["a-!", "9999999999", "bcher-kv", "\u{fc}", &long] {
            assert_eq!(decode(encoded.as_bytes()), None, "{encoded}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_disturb_it(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
