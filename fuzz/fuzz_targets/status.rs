//! POST status: any body; and what is read of a single status is read of it in a list, too, beside whatever else.
#![no_main]
use ccms_core::wire::status;
use ccms_fuzz::{NOW, statuses_hold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(batch) = status::parse(body, NOW) else { return };
    statuses_hold(&batch.messages, &batch.quarantined);
    if batch.is_list {
        return;
    }
    assert_eq!((batch.messages.len(), batch.quarantined.len()), (1, 0));
    let list = [b"[7,", body, b",{}]"].concat();
    let listed = status::parse(&list, NOW).expect("a list of a status");
    assert!(listed.is_list);
    assert_eq!((&listed.messages, listed.quarantined.len()), (&batch.messages, 2));
});
