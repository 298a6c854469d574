//! Processor time, from the kernel's own account of each thread.
use std::collections::HashMap;
use std::fs;

/// The thread that generates load; its time is nobody's cost.
pub const GENERATOR: &str = "generator";

/// Nanoseconds on a processor, by thread.
#[derive(Debug, Default)]
pub struct Spent(HashMap<String, u64>);

impl Spent {
    /// Every thread of this process but the generator's.
    pub fn now() -> std::io::Result<Self> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir("/proc/self/task")? {
            let path = entry?.path();
            // A thread may be gone by now.
            let (Ok(name), Ok(stat)) =
                (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
            else {
                continue;
            };
            if name.trim() == GENERATOR {
                continue;
            }
            let ns = stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
            threads.insert(path.display().to_string(), ns);
        }
        Ok(Self(threads))
    }

    /// Microseconds spent since `earlier`, a thread that is new counted whole.
    pub fn since_us(&self, earlier: &Self) -> f64 {
        let spent = |(id, ns): (&String, &u64)| ns.saturating_sub(earlier.0.get(id).copied().unwrap_or(0));
        self.0.iter().map(spent).sum::<u64>() as f64 / 1000.0
    }
}
