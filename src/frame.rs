//! Messages as bytes on a stream socket, and back: a length, then a body.
//!
//! The length is four bytes, little endian, and does not count itself; the body is one value in
//! postcard's encoding (<https://postcard.jamesmunns.com/wire-format>), no byte more. [`encode`] appends
//! a frame to what is to be sent. [`Decoder`] is fed whatever has arrived, cut anywhere, and gives the
//! values back. Neither reads nor writes: the daemon's processes among each other and greytrapctl(8)
//! each have their own sockets.
//!
//! Nothing that arrives is trusted: a length over the limit is refused before its body comes, and
//! memory is bounded by the limit plus what is fed at once.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

use crate::plural::counted_here;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Bytes of the length in front of each body.
pub const HEADER: usize = size_of::<u32>();

/// Why bytes are no frame, or a value becomes none. There is no going on after one: whoever sent it is
/// broken or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A body longer than the limit, in bytes.
    TooLong {
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A body that is no such message.
    Malformed,
    /// A message with so many bytes behind it in its frame.
    Trailing(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLong { length, limit } => {
                write!(f, "message of {length} bytes (at most {limit})")
            }
            FrameError::Malformed => f.write_str("malformed message"),
            FrameError::Trailing(count) => {
                write!(f, "{} after the end of a message", counted_here(*count, "byte"))
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// Appends `message` to `out` as a frame whose body has `limit` bytes at most.
///
/// # Errors
/// The message is longer, or has no encoding; `out` is as it was.
pub fn encode<T: Serialize + ?Sized>(
    message: &T,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let start = out.len();
    let encoded = append(message, limit, out);
    if encoded.is_err() {
        out.truncate(start);
    }
    encoded
}

fn append<T: Serialize + ?Sized>(
    message: &T,
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    postcard::to_io(message, &mut *out).map_err(|_| FrameError::Malformed)?;
    let frame = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut);
    let Some((header, body)) = frame else { return Err(FrameError::Malformed) };
    let too_long = FrameError::TooLong { length: body.len(), limit };
    let length = u32::try_from(body.len()).map_err(|_| too_long)?;
    if body.len() > limit {
        return Err(too_long);
    }
    *header = length.to_le_bytes();
    Ok(())
}

/// What has arrived and is not yet taken.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: Vec<u8>,
    /// Bytes at the beginning of `buffer` whose frames were taken.
    taken: usize,
}

impl Decoder {
    /// A decoder of frames whose bodies have `limit` bytes at most.
    pub fn new(limit: usize) -> Decoder {
        Decoder { limit, buffer: Vec::new(), taken: 0 }
    }

    /// Takes bytes as they arrived. To keep memory bounded, [`next`](Self::next) is to be called until it
    /// gives nothing before more are fed.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if all of it has arrived.
    ///
    /// # Errors
    /// What has arrived is no message; every further call says the same.
    #[expect(
        clippy::should_implement_trait,
        reason = "no iterator: the type is chosen at each call"
    )]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some((header, rest)) = self.rest().split_first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*header);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = match postcard::take_from_bytes(body) {
            Ok((message, [])) => message,
            Ok((_, rest)) => return Err(FrameError::Trailing(rest.len())),
            Err(_) => return Err(FrameError::Malformed),
        };
        self.taken = self.taken.saturating_add(HEADER).saturating_add(length);
        Ok(Some(message))
    }

    /// Whether nothing is left of what was fed: a stream that ends here ends between two messages.
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    const LIMIT: usize = 1000;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Message {
        Unit,
        Text(String),
        Many { numbers: Vec<i64>, address: Option<std::net::IpAddr> },
    }

    fn frame(message: &Message) -> Vec<u8> {
        let mut out = Vec::new();
        encode(message, LIMIT, &mut out).unwrap();
        out
    }

    fn decode(bytes: &[u8]) -> Result<Option<Message>, FrameError> {
        let mut decoder = Decoder::new(LIMIT);
        decoder.feed(bytes);
        decoder.next()
    }

    /// Every message of `bytes`, which arrive in pieces that end at `cuts`.
    fn arrive(bytes: &[u8], cuts: &[usize]) -> (Vec<Message>, Option<FrameError>, Decoder) {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let (mut decoder, mut messages, mut start) = (Decoder::new(LIMIT), Vec::new(), 0);
        for end in ends {
            decoder.feed(&bytes[start..end]);
            start = end;
            loop {
                match decoder.next() {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error), decoder),
                }
            }
        }
        (messages, None, decoder)
    }

    fn messages() -> impl Strategy<Value = Vec<Message>> {
        let message = prop_oneof![
            Just(Message::Unit),
            ".{0,40}".prop_map(Message::Text),
            (proptest::collection::vec(any::<i64>(), 0..20), any::<Option<std::net::IpAddr>>())
                .prop_map(|(numbers, address)| Message::Many { numbers, address }),
        ];
        proptest::collection::vec(message, 0..10)
    }

    /// The layout is a contract between processes that may be of two versions for a moment: length little
    /// endian, then postcard's variant number and fields (varints, zigzag, lengths before texts).
    #[test]
    fn the_bytes_are_these() {
        assert_eq!(frame(&Message::Unit), [1, 0, 0, 0, 0]);
        assert_eq!(frame(&Message::Text("ab".into())), [4, 0, 0, 0, 1, 2, b'a', b'b']);
        let many = Message::Many { numbers: vec![-1, 300], address: None };
        assert_eq!(frame(&many), [6, 0, 0, 0, 2, 2, 1, 0xd8, 4, 0]);
    }

    #[test]
    fn a_frame_follows_what_is_there_already() {
        let mut out = b"before".to_vec();
        encode(&Message::Unit, LIMIT, &mut out).unwrap();
        assert_eq!(out, b"before\x01\0\0\0\0");
    }

    #[test]
    fn what_is_too_long_to_send_leaves_nothing_behind() {
        let mut out = b"before".to_vec();
        let text = Message::Text("x".repeat(LIMIT - 3));
        encode(&text, LIMIT, &mut out).unwrap();
        out.truncate(6);
        let text = Message::Text("x".repeat(LIMIT - 2));
        let error = encode(&text, LIMIT, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "message of 1001 bytes (at most 1000)");
        assert_eq!(out, b"before");
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_body() {
        let gigabyte = [0, 0, 0, 0x40];
        let error = FrameError::TooLong { length: 1 << 30, limit: LIMIT };
        assert_eq!(decode(&gigabyte), Err(error));
        assert_eq!(decode(&[0xe8, 3, 0, 0]), Ok(None), "the limit itself is allowed");
    }

    #[test]
    fn a_body_holds_one_message_and_nothing_else() {
        assert_eq!(decode(&[0, 0, 0, 0]), Err(FrameError::Malformed));
        assert_eq!(decode(&[1, 0, 0, 0, 9]), Err(FrameError::Malformed), "no such variant");
        assert_eq!(decode(&[3, 0, 0, 0, 1, 5, b'a']), Err(FrameError::Malformed), "text too short");
        assert_eq!(decode(&[3, 0, 0, 0, 1, 1, 0xff]), Err(FrameError::Malformed), "no UTF-8");
        assert_eq!(decode(&[3, 0, 0, 0, 0, 7, 7]), Err(FrameError::Trailing(2)));
        let error = FrameError::Trailing(2).to_string();
        assert_eq!(error, "2 bytes after the end of a message");
    }

    #[test]
    fn a_promise_of_many_elements_reserves_no_memory_for_them() {
        let body = [2, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(decode(&[&[6, 0, 0, 0], &body[..]].concat()), Err(FrameError::Malformed));
    }

    #[test]
    fn an_error_stays() {
        let (messages, error, mut decoder) = arrive(
            &[&frame(&Message::Unit)[..], &[1, 0, 0, 0, 9], &frame(&Message::Unit)].concat(),
            &[],
        );
        assert_eq!((messages, error), (vec![Message::Unit], Some(FrameError::Malformed)));
        decoder.feed(&frame(&Message::Unit));
        assert_eq!(decoder.next::<Message>(), Err(FrameError::Malformed));
    }

    proptest! {
        #[test]
        fn any_cut_of_the_bytes_gives_the_same_messages(
            sent in messages(),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
        ) {
            let mut bytes = Vec::new();
            sent.iter().for_each(|message| encode(message, LIMIT, &mut bytes).unwrap());
            let (arrived, error, decoder) = arrive(&bytes, &cuts);
            prop_assert_eq!((arrived, error, decoder.is_empty()), (sent, None, true));
        }

        #[test]
        fn any_bytes_at_all_end_in_messages_or_an_error(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            length in 0u32..64,
            cuts in proptest::collection::vec(any::<usize>(), 0..5),
        ) {
            if let Some(header) = bytes.first_chunk_mut() {
                *header = length.to_le_bytes();
            }
            let whole = arrive(&bytes, &[]);
            let cut = arrive(&bytes, &cuts);
            prop_assert_eq!((whole.0, whole.1), (cut.0, cut.1));
        }

        #[test]
        fn a_stream_that_ends_within_a_message_is_not_empty(sent in messages(), cut in any::<usize>()) {
            let mut bytes = Vec::new();
            sent.iter().for_each(|message| encode(message, LIMIT, &mut bytes).unwrap());
            let cut = cut % (bytes.len() + 1);
            let (arrived, error, decoder) = arrive(&bytes[..cut], &[]);
            let whole: usize = arrived.iter().map(|message| frame(message).len()).sum();
            prop_assert_eq!(error, None);
            prop_assert_eq!(decoder.is_empty(), whole == cut);
        }
    }
}
