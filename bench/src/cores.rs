//! Which cores threads may run on: the generator alone on the last one, servers on the others. Where both roam, what a request
//! costs depends on who happens to wake whom, and two runs differ by a third.
use std::sync::LazyLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Those of the process, as it was started.
static ALL: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let set = sched_getaffinity(None).unwrap_or_default();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
});

#[derive(Debug, Clone, Copy)]
pub enum Place {
    Servers,
    Generator,
    Anywhere,
}

/// Moves the calling thread, and those that it starts from here on. On a single core nothing moves.
pub fn move_to(place: Place) {
    let mut set = CpuSet::new();
    cores(place).iter().for_each(|core| set.set(*core));
    // Without the right to it figures are as they come.
    let _ = sched_setaffinity(None, &set);
}

/// How many cores servers have when they have theirs.
pub fn of_servers() -> usize {
    cores(Place::Servers).len().max(1)
}

fn cores(place: Place) -> &'static [usize] {
    match (place, ALL.split_last()) {
        (Place::Servers, Some((_, others))) if !others.is_empty() => others,
        (Place::Generator, Some((last, _))) => std::slice::from_ref(last),
        _ => &ALL,
    }
}
