//! `ccms-fleet world` lives through days of misfortunes in virtual time, one story for each seed; `replay` tells one of them
//! line by line. The server's part is played in memory, or by what a real server answered in the same story.
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

use crate::clock::Clock;
use crate::world::story::{Ending, Script, live};
use crate::world::tape::Player;
use crate::world::understudy::Understudy;

#[derive(Debug, Clone, clap::Args)]
pub struct WorldOptions {
    #[arg(long, default_value_t = 20)]
    pub lights: usize,
    #[arg(long, default_value_t = 1)]
    pub days: u64,
    /// How many stories
    #[arg(long, default_value_t = 1)]
    pub seeds: u64,
    /// The seed of the first one
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Clone, clap::Args)]
pub struct ReplayOptions {
    #[arg(long)]
    pub seed: u64,
    #[arg(long, default_value_t = 20)]
    pub lights: usize,
    #[arg(long, default_value_t = 1)]
    pub days: u64,
    /// What a server answered in this story, as a failed test wrote it down; without it the server's part is played in memory
    #[arg(long)]
    pub tape: Option<PathBuf>,
    /// Writes the story to this file instead of standard output
    #[arg(long)]
    pub trace: Option<PathBuf>,
}

/// Stories in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rehearsal {
    pub stories: u64,
    pub lights: usize,
    pub virtual_days: u64,
    /// Days of all devices together.
    pub device_days: u64,
    pub requests: u64,
    pub readings: usize,
    pub commands_done: usize,
    pub seconds: f64,
    pub virtual_days_per_second: f64,
    pub failed_seeds: Vec<u64>,
}

/// Lives the stories, one after the other.
///
/// # Errors
/// When an invariant did not hold in one of them.
pub async fn world(options: &WorldOptions) -> anyhow::Result<Rehearsal> {
    let clock = Clock::start(0);
    let (mut requests, mut readings, mut commands_done, mut failed_seeds) = (0, 0, 0, Vec::new());
    for seed in options.seed..options.seed + options.seeds {
        let ending = live(&Script::days(seed, options.lights, options.days), &mut Understudy::default()).await;
        requests += ending.requests;
        readings += ending.readings;
        commands_done += ending.commands_done;
        if !ending.breaches.is_empty() {
            failed_seeds.push(seed);
            ending.breaches.iter().for_each(|breach| eprintln!("seed {seed}: {breach}"));
            eprintln!(
                "replay it with: ccms-fleet replay --seed {seed} --lights {} --days {}",
                options.lights, options.days
            );
        }
    }
    let (seconds, virtual_days) = (clock.elapsed().as_secs_f64(), options.seeds * options.days);
    let rehearsal = Rehearsal {
        stories: options.seeds,
        lights: options.lights,
        virtual_days,
        device_days: virtual_days * options.lights as u64,
        requests,
        readings,
        commands_done,
        seconds,
        virtual_days_per_second: virtual_days as f64 / seconds.max(0.001),
        failed_seeds,
    };
    println!("{}", serde_json::to_string(&rehearsal)?);
    anyhow::ensure!(rehearsal.failed_seeds.is_empty(), "seeds {:?} failed", rehearsal.failed_seeds);
    Ok(rehearsal)
}

/// Tells one story again.
///
/// # Errors
/// When an invariant did not hold, the tape is another story's, or a file cannot be read or written.
pub async fn replay(options: &ReplayOptions) -> anyhow::Result<Ending> {
    let script = Script { keep_lines: true, ..Script::days(options.seed, options.lights, options.days) };
    let ending = match &options.tape {
        Some(tape) => before_tape(&script, tape).await?,
        None => live(&script, &mut Understudy::default()).await,
    };
    match &options.trace {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("writing {}", path.display()))?;
            write_lines(&ending.lines, BufWriter::new(file)).with_context(|| format!("writing {}", path.display()))?;
        }
        None => write_lines(&ending.lines, BufWriter::new(std::io::stdout().lock()))?,
    }
    ending.breaches.iter().for_each(|breach| eprintln!("{breach}"));
    eprintln!("{} requests; transcript {:016x}", ending.requests, ending.transcript);
    anyhow::ensure!(ending.breaches.is_empty(), "{} breaches", ending.breaches.len());
    Ok(ending)
}

async fn before_tape(script: &Script, tape: &Path) -> anyhow::Result<Ending> {
    let file = File::open(tape).with_context(|| format!("reading {}", tape.display()))?;
    let mut player = Player::of(BufReader::new(file)).with_context(|| format!("reading {}", tape.display()))?;
    let ending = live(script, &mut player).await;
    anyhow::ensure!(!player.lost, "{} is of another story: see its seed, lights and days", tape.display());
    Ok(ending)
}

fn write_lines(lines: &[String], mut out: impl Write) -> std::io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()
}
