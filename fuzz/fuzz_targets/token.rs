//! `Authorization: Bearer …`: no text but the very token that was issued is let in, be it strange or nearly right.
#![no_main]
use std::sync::OnceLock;

use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_fuzz::{NOW, fixed_master};
use ccms_service::keys::TokenKeys;
use libfuzzer_sys::fuzz_target;

fn issued() -> &'static (TokenKeys, String) {
    static ISSUED: OnceLock<(TokenKeys, String)> = OnceLock::new();
    ISSUED.get_or_init(|| {
        let keys = TokenKeys::new(&fixed_master());
        let device = DeviceId::parse("IMEI:351234567890123").expect("an id");
        let token = keys.issue(&device, 3, NOW.0, NOW).0;
        assert!(verify(&keys, &token));
        (keys, token)
    })
}

fn verify(keys: &TokenKeys, token: &str) -> bool {
    keys.verify(token, NOW, |from: UtcMillis| NOW.since(from)).is_some()
}

fuzz_target!(|bytes: &[u8]| {
    let (keys, good) = issued();
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(text == good || !verify(keys, text));
        // A header and claims of the fuzzer's, with the signature of the true ones.
        let signature = good.rsplit('.').next().unwrap_or_default();
        let forged = format!("{text}.{signature}");
        assert!(forged == *good || !verify(keys, &forged));
    }
    // The true one with some of its bytes changed: place, place, byte.
    let mut edited = good.clone().into_bytes();
    for edit in bytes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % edited.len();
        edited[place] = edit[2];
    }
    if let Ok(text) = std::str::from_utf8(&edited) {
        assert_eq!(verify(keys, text), text == good);
    }
});
