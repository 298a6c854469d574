//! Attempts to sign in, by account: after some failures each further one has to wait. An attempt is counted before its
//! password is looked at, so that guesses that come at once count like guesses one after the other; what follows is that the
//! right password takes the count back. Waits are measured on the monotonic clock: setting the time ends none.
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// Failed sign-ins of one account before it has to wait, and for how long after each further one.
const FREE_FAILURES: u32 = 5;
const WAIT_PER_FAILURE: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(300);
/// Accounts whose failures are remembered.
const ACCOUNTS_KEPT_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Failed {
    times: u32,
    last: Duration,
}

impl Failed {
    fn wait(self) -> Duration {
        match self.times {
            0..FREE_FAILURES => Duration::ZERO,
            more => WAIT_MAX.min(WAIT_PER_FAILURE.saturating_mul(more - FREE_FAILURES + 1)),
        }
    }

    fn is_over(self, now: Duration) -> bool {
        now.saturating_sub(self.last) >= WAIT_MAX
    }
}

/// Times are those of [`Clock::monotonic`](crate::clock::Clock::monotonic).
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<String, Failed>>);

impl Attempts {
    /// Counts an attempt as failed until it is known better, or says how many seconds its account has to wait.
    pub fn begin(&self, account: &str, now: Duration) -> Result<(), u32> {
        let mut accounts = self.0.lock().unwrap_or_else(|e| e.into_inner());
        let failed = accounts.get(account).copied().unwrap_or(Failed { times: 0, last: now });
        let left = failed.wait().saturating_sub(now.saturating_sub(failed.last));
        if !left.is_zero() {
            // Rounded up: who comes back then is let in.
            return Err(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX));
        }
        if !accounts.contains_key(account) && accounts.len() >= ACCOUNTS_KEPT_MAX {
            make_room(&mut accounts, now);
        }
        accounts.insert(account.to_owned(), Failed { times: failed.times.saturating_add(1), last: now });
        Ok(())
    }

    /// The password was right.
    pub fn succeeded(&self, account: &str) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).remove(account);
    }

    /// Nobody looked at the password, because something of ours failed: the attempt is none.
    pub fn undone(&self, account: &str) {
        if let Some(failed) = self.0.lock().unwrap_or_else(|e| e.into_inner()).get_mut(account) {
            failed.times = failed.times.saturating_sub(1);
        }
    }
}

/// Forgets whose wait is over in any case, or else the one who failed least: names that somebody makes up by the thousand
/// go before the account that is being guessed at.
fn make_room(accounts: &mut HashMap<String, Failed>, now: Duration) {
    accounts.retain(|_, failed| !failed.is_over(now));
    if accounts.len() >= ACCOUNTS_KEPT_MAX
        && let Some(least) = accounts.iter().min_by_key(|(_, failed)| **failed).map(|(account, _)| account.clone())
    {
        accounts.remove(&least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn after(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn of_many_at_once_five_are_let_through_and_later_one() {
        let attempts = Attempts::default();
        let let_through = |now| {
            std::thread::scope(|scope| {
                let tries: Vec<_> =
                    (0..50).map(|_| scope.spawn(|| attempts.begin("a@x.example", now).is_ok())).collect();
                tries.into_iter().map(|t| t.join().unwrap()).filter(|ok| *ok).count()
            })
        };
        assert_eq!(let_through(START), 5);
        assert_eq!(let_through(after(4)), 0);
        assert_eq!(let_through(after(5)), 1);
        assert_eq!((let_through(after(14)), let_through(after(15))), (0, 1), "ten seconds after the sixth");
    }

    #[test]
    fn waits_grow_up_to_their_longest_and_end_with_the_right_password() {
        let attempts = Attempts::default();
        let mut now = START;
        for n in 1..100_u32 {
            assert_eq!(attempts.begin("a", now), Ok(()), "{n}");
            let wait = n.saturating_sub(4).saturating_mul(5).min(300);
            if wait > 0 {
                assert_eq!(attempts.begin("a", now), Err(wait));
                assert_eq!(attempts.begin("a", now + Duration::from_millis(1)), Err(wait), "rounded up");
            }
            now += Duration::from_secs(wait.into());
        }
        assert_eq!(attempts.begin("b", now), Ok(()), "another account");
        attempts.begin("a", now).unwrap();
        attempts.succeeded("a");
        for _ in 0..5 {
            assert_eq!(attempts.begin("a", now), Ok(()));
        }
        attempts.undone("a");
        assert_eq!((attempts.begin("a", now), attempts.begin("a", now)), (Ok(()), Err(5)), "ours is not theirs");
    }

    #[test]
    fn made_up_names_do_not_push_out_the_one_that_is_guessed_at() {
        let attempts = Attempts::default();
        for _ in 0..5 {
            attempts.begin("victim", START).unwrap();
        }
        for n in 0..ACCOUNTS_KEPT_MAX + 100 {
            attempts.begin(&format!("made up {n}"), after(1)).unwrap();
        }
        assert_eq!(attempts.0.lock().unwrap().len(), ACCOUNTS_KEPT_MAX);
        assert_eq!(attempts.begin("victim", after(1)), Err(4));
        attempts.begin("much later", after(400)).unwrap();
        assert_eq!(attempts.0.lock().unwrap().len(), 1, "whose wait is over leaves first");
    }
}
