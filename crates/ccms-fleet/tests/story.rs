//! Stories before the understudy: nothing is broken, and the same seed tells the same story to the letter. Before the real server they
//! are told in the root's tests, `tests/it/stories`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ccms_fleet::rehearse::{ReplayOptions, replay};
use ccms_fleet::world::story::{Ending, Script, live};
use ccms_fleet::world::tape::{Player, Recorder};
use ccms_fleet::world::understudy::Understudy;
use ccms_fleet::world::witness::Invariant;

/// Nothing here waits for anything, so one poll is the whole story.
fn at_once<T>(story: impl Future<Output = T>) -> T {
    match pin!(story).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ended) => ended,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn told(script: &Script) -> Ending {
    at_once(live(script, &mut Understudy::default()))
}

#[test]
fn days_of_misfortunes_break_nothing() {
    for seed in 1..=6 {
        let ending = told(&Script::days(seed, 4, 1));
        assert!(ending.breaches.is_empty(), "replay --seed {seed} --lights 4 --days 1: {:#?}", ending.breaches);
        assert!(ending.readings > 4 * 2_000 && ending.commands_done > 20 && ending.flashes_lost > 0, "{ending:?}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story_to_the_letter() {
    let script = Script { keep_lines: true, ..Script::days(3, 3, 1) };
    let (one, other) = (told(&script), told(&script));
    assert!(
        one.lines == other.lines && one.lines.len() > 10_000,
        "{} and {} lines",
        one.lines.len(),
        other.lines.len()
    );
    assert_eq!(one.transcript, other.transcript);
    assert_ne!(told(&Script { seed: 4, ..script }).transcript, one.transcript);
}

#[test]
fn what_a_server_answered_can_be_told_without_it() {
    let script = Script { keep_lines: true, ..Script::days(5, 2, 1) };
    let mut tape = Vec::new();
    let mut recorder = Recorder::new(Understudy::default(), &mut tape);
    let live_story = at_once(live(&script, &mut recorder));
    recorder.finish().unwrap();
    let mut player = Player::of(tape.as_slice()).unwrap();
    let replayed = at_once(live(&script, &mut player));
    assert!(!player.lost && replayed.lines == live_story.lines);
    assert_eq!(replayed.breaches, live_story.breaches);
    let mut player = Player::of(tape.as_slice()).unwrap();
    at_once(live(&Script { seed: 6, ..script }, &mut player));
    assert!(player.lost, "another story's tape does not fit");
}

/// I9: what no store of ours can be made to do, a server in memory does.
#[test]
fn a_server_that_counts_twice_or_shows_what_came_last_is_found_out() {
    for counts in [true, false] {
        let mut server = Understudy::default();
        (server.counts_repeats, server.shows_last) = (counts, !counts);
        let ending = at_once(live(&Script::days(1, 4, 1), &mut server));
        let broken: Vec<_> = ending.breaches.iter().map(|b| b.of).collect();
        assert!(!broken.is_empty() && broken.iter().all(|of| *of == Invariant::I9), "{:#?}", ending.breaches);
    }
}

#[test]
fn a_replay_is_the_same_file_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let told = |name: &str| {
        let trace = folder.path().join(name);
        let options = ReplayOptions { seed: 9, lights: 2, days: 1, tape: None, trace: Some(trace.clone()) };
        at_once(replay(&options)).unwrap();
        std::fs::read(trace).unwrap()
    };
    let (one, other) = (told("one"), told("other"));
    assert!(one == other && one.len() > 500_000, "{} and {} bytes", one.len(), other.len());
}
