//! Hands at the device: a person at the terminal, or commands of a test bench.
use std::io::{BufRead, IsTerminal, Write};
use std::process::Command;

use tokio::sync::oneshot;

use super::script::Stimulus;

#[derive(Debug, Clone, Default)]
pub struct Hands {
    /// Takes the power away and gives it back.
    pub power: Option<String>,
    /// Is told one word, such as `hot`.
    pub bench: Option<String>,
    /// Somebody sits at the terminal.
    pub person: bool,
}

impl Hands {
    pub fn new(power: Option<String>, bench: Option<String>) -> Self {
        Self { power, bench, person: std::io::stdin().is_terminal() }
    }

    /// Whether it was done. `only_tried`: not worth a person's time.
    pub async fn act(&self, stimulus: Stimulus, only_tried: bool) -> bool {
        match (self.command(stimulus), self.person && !only_tried) {
            (Some(command), _) => on_a_thread(move || runs(&command)).await,
            (None, true) => on_a_thread(move || asks(stimulus)).await,
            (None, false) => false,
        }
    }

    /// The shell's line for it.
    fn command(&self, stimulus: Stimulus) -> Option<String> {
        let by_bench = || self.bench.as_ref().map(|bench| format!("{bench} {}", stimulus.as_str()));
        match stimulus {
            Stimulus::PowerCycle => self.power.clone().or_else(by_bench),
            Stimulus::Hot | Stimulus::Cool | Stimulus::BatteryLow | Stimulus::BatteryFull => by_bench(),
        }
    }
}

/// A thread of its own that nobody waits for at the end: a read from a terminal cannot be called off.
async fn on_a_thread(work: impl FnOnce() -> bool + Send + 'static) -> bool {
    let (done, result) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody listens any more when the run was stopped meanwhile.
        let _ = done.send(work());
    });
    result.await.unwrap_or(false)
}

fn runs(command: &str) -> bool {
    match Command::new("sh").arg("-c").arg(command).status() {
        Ok(status) if status.success() => true,
        Ok(status) => {
            eprintln!("{command:?}: {status}");
            false
        }
        Err(error) => {
            eprintln!("{command:?}: {error}");
            false
        }
    }
}

fn asks(stimulus: Stimulus) -> bool {
    print!("\n>> Please {}.\n>> Then press Enter; n and Enter if that cannot be done: ", stimulus.in_words());
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => false,
        Ok(_) => !line.trim().eq_ignore_ascii_case("n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bench_is_told_one_word_and_its_status_counts() {
        let bench = |power: Option<&str>, bench: Option<&str>| Hands {
            power: power.map(str::to_owned),
            bench: bench.map(str::to_owned),
            person: false,
        };
        assert!(bench(None, Some("test hot =")).act(Stimulus::Hot, true).await);
        assert!(!bench(None, Some("test hot =")).act(Stimulus::Cool, true).await);
        assert!(bench(Some("true"), Some("false")).act(Stimulus::PowerCycle, false).await);
        assert!(!bench(Some("true"), None).act(Stimulus::Hot, false).await);
    }
}
