//! POST command-ack, and the answer to a poll as a device reads it: any body; strict and lenient reader agree.
#![no_main]
use ccms_core::wire::ack::{AckMessage, AckRequest};
use ccms_core::wire::commands::CommandsResponse;
use ccms_fuzz::{instant_holds, text_holds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(ack) = AckMessage::parse(body) {
        text_holds(ack.detail.as_deref().filter(|d| !d.is_empty()), 120);
        ack.executed_at.into_iter().for_each(instant_holds);
        if let Ok(strict) = serde_json::from_slice::<AckRequest>(body) {
            assert_eq!((ack.command_id, ack.status), (Some(strict.command_id), strict.status));
            assert_eq!(ack.executed_at, Some(strict.execution_timestamp));
        }
    }
    if let Ok(answer) = serde_json::from_slice::<CommandsResponse>(body) {
        assert!(answer.commands.iter().all(|c| c.brightness_level.is_none_or(|b| b <= 100)));
        let written = serde_json::to_vec(&answer).expect("JSON");
        let read: CommandsResponse = serde_json::from_slice(&written).expect("what we wrote");
        assert_eq!(read.commands.len(), answer.commands.len());
    }
});
