//! `X-Device-Signature`: a line of header, then the body. Nothing but the body's own signature passes, and that always does.
#![no_main]
use ccms_service::keys::signature::{is_valid, sign};
use libfuzzer_sys::fuzz_target;

const KEY: &[u8] = b"b3d4c1f0a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff00";

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (header, body) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let good = sign(KEY, body);
    assert!(is_valid(&good, KEY, body) && is_valid(&good.to_uppercase(), KEY, body));
    let Ok(header) = std::str::from_utf8(header) else { return };
    // Not even the fuzzer finds it by chance: what it is given here is no signature of that body.
    assert_eq!(is_valid(header, KEY, body), header.trim().eq_ignore_ascii_case(&good));
    // The right one with some of its characters changed.
    let mut edited = good.clone().into_bytes();
    for edit in header.as_bytes().chunks_exact(2) {
        let place = usize::from(edit[0]) % edited.len();
        edited[place] = edit[1];
    }
    if let Ok(text) = std::str::from_utf8(&edited) {
        let same = text.trim().eq_ignore_ascii_case(&good);
        assert_eq!(is_valid(text, KEY, body), same);
    }
    // One bit of the body.
    if let Some((first, rest)) = body.split_first() {
        assert!(!is_valid(&good, KEY, &[&[first ^ 1], rest].concat()));
    }
});
