//! Text on its way into a TEXT. PostgreSQL refuses NUL, and one such character must not make a whole statement fail.

/// The text with every NUL replaced by U+FFFD. Inside JSON it stands escaped and needs nothing.
pub(crate) fn plain(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nul_is_replaced() {
        assert_eq!(plain("a\0ä\u{1}\n"), "a\u{fffd}ä\u{1}\n");
    }
}
