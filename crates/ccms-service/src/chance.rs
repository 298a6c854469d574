//! The only place of the server that asks for randomness: keys, ids and first passwords. What is simulated or retried takes
//! a seed instead.

/// 128 bits that nobody can guess, from the system's generator through a ChaCha stream per thread.
#[expect(clippy::disallowed_methods, reason = "this is the source")]
pub fn bits() -> u128 {
    rand::random()
}
