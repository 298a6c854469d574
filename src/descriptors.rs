//! How many file descriptors this process may hold, and so how many connections.
use rlimit::Resource;

/// Kept for everything that is not a connection: the database, files being served, the log, other listeners.
const RESERVE: u64 = 256;

/// Takes as many descriptors as the system lets this process have. Called once, before listening.
pub fn raise() {
    let Ok((soft, hard)) = Resource::NOFILE.get() else { return };
    if soft < hard
        && let Err(error) = Resource::NOFILE.set(hard, hard)
    {
        tracing::warn!(%error, soft, hard, "the limit of open files could not be raised");
    }
}

/// The configured number of connections, or fewer where descriptors would not suffice for them.
pub fn connections_max(configured: usize) -> usize {
    let soft = Resource::NOFILE.get().map_or(u64::MAX, |(soft, _)| soft);
    fitting(configured, soft)
}

fn fitting(configured: usize, soft: u64) -> usize {
    // Where the reserve would take everything, connections get half.
    let room = soft.saturating_sub(RESERVE).max(soft / 2);
    configured.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_the_rest() {
        for (configured, soft, fits) in
            [(20_000, 1 << 20, 20_000), (20_000, 4_096, 3_840), (100, 4_096, 100), (20_000, 256, 128), (20_000, 0, 1)]
        {
            assert_eq!(fitting(configured, soft), fits, "{configured} of {soft}");
        }
    }
}
