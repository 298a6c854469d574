//! Days of misfortunes of real devices before the real server, in virtual time: [`ccms_fleet::world::story`] plans and lives them,
//! [`ccms_fleet::world::witness`] says which invariant did not hold. A seed that fails is lived once more with its answers recorded,
//! and says how to replay it.
//!
//! `CCMS_WORLD_SEEDS`, `CCMS_WORLD_LIGHTS` and `CCMS_WORLD_DAYS` say how much of it; `CCMS_WORLD_SEED` is the first seed.
//!
//! - `offline`   three hours without a network
//! - `real`      the server of a [`City`](crate::city::City) as the story sees it
//! - `saboteurs` for each invariant somebody who breaks it, and is found out
mod offline;
mod real;
mod saboteurs;

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ccms_core::time::UtcMillis;
use ccms_fleet::world::Rules;
use ccms_fleet::world::story::{Ending, Script, live};
use ccms_fleet::world::tape::{Player, Recorder};
use ccms_service::clock::Clock;

use real::RealServer;

/// What fits into a minute or two of unoptimised code, in which a request takes half a millisecond.
const SEEDS: u64 = 4;
const LIGHTS: u64 = 4;
const DAYS: u64 = 1;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn start() -> UtcMillis {
    Rules::default().start
}

/// A story from its beginning to its end, on a thread that does nothing else.
fn told(script: &Script) -> Ending {
    at_once(async { live(script, &mut RealServer::opens(start()).await).await })
}

fn at_once<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(story)
}

#[test]
fn days_of_misfortunes_break_no_invariant() {
    let (seeds, first) = (number("CCMS_WORLD_SEEDS", SEEDS), number("CCMS_WORLD_SEED", 1));
    let (lights, days) = (number("CCMS_WORLD_LIGHTS", LIGHTS) as usize, number("CCMS_WORLD_DAYS", DAYS));
    let (clock, next) = (Clock::system(0), AtomicU64::new(first));
    let (began, totals, failed) = (clock.monotonic(), Mutex::new((0, 0, 0, 0)), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    std::thread::scope(|scope| {
        for _ in 0..threads.min(seeds) {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|seed| *seed < first + seeds) {
                    let ending = told(&Script::days(seed, lights, days));
                    let mut totals = totals.lock().expect("nobody panics here");
                    totals.0 += ending.requests;
                    totals.1 += ending.readings;
                    totals.2 += ending.commands_done;
                    totals.3 += ending.flashes_lost;
                    if !ending.breaches.is_empty() {
                        failed.lock().expect("nobody panics here").push((seed, ending));
                    }
                }
            });
        }
    });
    let took_s = (clock.monotonic() - began).as_secs_f64();
    let (requests, readings, commands, flashes) = *totals.lock().expect("nobody panics here");
    println!(
        "{seeds} stories of {lights} devices and {days} days in {took_s:.1} s: {:.2} virtual days per second, {requests} requests, \
         {readings} readings, {commands} commands done, {flashes} flashes lost",
        (seeds * days) as f64 / took_s
    );
    let failed = failed.into_inner().expect("nobody panics here");
    for (seed, ending) in &failed {
        ending.breaches.iter().for_each(|breach| eprintln!("seed {seed}: {breach}"));
        says_how_to_replay(&Script::days(*seed, lights, days), ending);
    }
    assert!(failed.is_empty(), "{} of {seeds} stories broke an invariant", failed.len());
}

/// Lives it again, and writes down what the server answered.
fn says_how_to_replay(script: &Script, ending: &Ending) {
    let (seed, lights, days) = (script.seed, script.lights, script.seconds / 86_400);
    let tape = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("story-{seed}-{lights}-{days}.tape"));
    let file = BufWriter::new(File::create(&tape).expect("a file"));
    let again = at_once(async {
        let mut recorder = Recorder::new(RealServer::opens(start()).await, file);
        let again = live(script, &mut recorder).await;
        recorder.finish().expect("a tape");
        again
    });
    let same = if again.transcript == ending.transcript { "to the letter" } else { "NOT to the letter" };
    eprintln!(
        "lived again {same}. Replay it without a server:\n  cargo run -p ccms-fleet -- replay --seed {seed} --lights {lights} --days {days} \
         --tape {}\nand before one:\n  CCMS_WORLD_SEED={seed} CCMS_WORLD_SEEDS=1 CCMS_WORLD_LIGHTS={lights} CCMS_WORLD_DAYS={days} \
         cargo test --test it stories::days_of_misfortunes -- --nocapture",
        tape.display()
    );
}

#[test]
fn the_same_seed_tells_the_same_story_before_a_real_server_and_without_it() {
    let script = Script { keep_lines: true, ..Script::days(2, 2, 1) };
    let mut tape = Vec::new();
    let (one, other) = at_once(async {
        let mut recorder = Recorder::new(RealServer::opens(start()).await, &mut tape);
        let one = live(&script, &mut recorder).await;
        recorder.finish().expect("a tape");
        (one, live(&script, &mut RealServer::opens(start()).await).await)
    });
    let differs = one.lines.iter().zip(&other.lines).position(|(a, b)| a != b);
    let shown = |n: usize| (&one.lines[n], &other.lines[n]);
    assert!(one.lines == other.lines, "they differ at {:?}", differs.map(shown));
    assert!(one.breaches.is_empty(), "{:#?}", one.breaches);
    let mut player = Player::of(tape.as_slice()).expect("a tape");
    let replayed = at_once(live(&script, &mut player));
    assert!(!player.lost && replayed.lines == one.lines, "the tape tells another story");
}
