//! Numbers that C writes and JSON does not know: `printf("%f")` of what was never measured gives `nan`, `-nan`, `inf` or, on some
//! runtimes, `1.#QNAN`. They cost their field, as any bad value does, and not the whole message.
//!
//! Only a body that is no JSON comes here, so nothing that is valid is ever changed.

/// The body with every such number, where a value may stand, made a text: that is no number either, so its field is flagged.
/// `None` when there is none.
pub(super) fn mended(body: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::new();
    let (mut copied, mut at, mut before) = (0, 0, None);
    while let Some(byte) = body.get(at).copied() {
        let end = match byte {
            b'"' => string_end(body, at),
            _ if is_structure(byte) || byte.is_ascii_whitespace() => at + 1,
            _ => word_end(body, at),
        };
        // What comes behind is looked at last, and only behind such a word: or every blank of a long run of them would walk
        // over the rest of the run.
        let stands_for_value = is_no_number(&body[at..end])
            && matches!(before, Some(b':' | b',' | b'['))
            && matches!(body[end..].trim_ascii_start().first(), Some(b',' | b'}' | b']'));
        if stands_for_value {
            mended.extend_from_slice(&body[copied..at]);
            mended.push(b'"');
            mended.extend_from_slice(&body[at..end]);
            mended.push(b'"');
            copied = end;
        }
        if !byte.is_ascii_whitespace() {
            before = Some(byte);
        }
        at = end;
    }
    if mended.is_empty() {
        return None;
    }
    mended.extend_from_slice(&body[copied..]);
    Some(mended)
}

const fn is_structure(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b',' | b':')
}

/// Behind the closing quote; a text that is never closed goes to the end.
fn string_end(body: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    body.len()
}

fn word_end(body: &[u8], from: usize) -> usize {
    let ends = |b: &u8| *b == b'"' || is_structure(*b) || b.is_ascii_whitespace();
    body[from..].iter().position(ends).map_or(body.len(), |length| from + length)
}

/// Whether a word is one of C's for what is no number, or too large for one.
fn is_no_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").or_else(|| word.strip_prefix(b"+")).unwrap_or(word);
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let begins = |name: &str| word.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
    let payload = |from: usize| word[from..].iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    is("nan")
        || is("inf")
        || is("infinity")
        || (begins("nan(") && word.ends_with(b")") && word[4..word.len() - 1].iter().all(u8::is_ascii_alphanumeric))
        || (begins("1.#") && payload(3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(body: &str) -> Option<String> {
        mended(body.as_bytes()).map(|m| String::from_utf8(m).unwrap())
    }

    #[test]
    fn what_c_writes_becomes_a_text() {
        for word in [
            "nan",
            "NaN",
            "-nan",
            "NAN",
            "inf",
            "-inf",
            "+INF",
            "Infinity",
            "-Infinity",
            "nan(ind)",
            "-nan(0x7)",
            "1.#QNAN",
            "-1.#IND00",
            "1.#INF",
        ] {
            assert_eq!(
                shown(&format!("{{\"a\": {word} , \"b\":1}}")),
                Some(format!("{{\"a\": \"{word}\" , \"b\":1}}"))
            );
            assert_eq!(shown(&format!("[{word}]")), Some(format!("[\"{word}\"]")));
        }
        assert_eq!(shown("[nan,inf\n,{\"a\":-inf}]").unwrap(), "[\"nan\",\"inf\"\n,{\"a\":\"-inf\"}]");
        for same in [
            "",
            "nan",
            "[\"nan\"]",
            "{nan:1}",
            "{\"a\":1,nan:2}",
            "{\"a\":nane}",
            "[--inf]",
            "[nan(",
            "[nan(\"a\")]",
            "[nan",
            "[\"a\\\", nan]",
            "[\"open, nan",
            "[1.#\u{e4}]",
            "[none]",
        ] {
            assert_eq!(shown(same), None, "{same}");
        }
    }

    /// Two million blanks, as a small packed body may hold: a walk over the rest from each of them would take hours.
    #[test]
    fn a_long_run_of_blanks_is_walked_over_once() {
        let mut body = b"[nan,".to_vec();
        body.resize(2 << 20, b' ');
        body.extend_from_slice(b"nan");
        body.resize(4 << 20, b' ');
        assert!(mended(&body).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_end_and_grow_by_quotes_only(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(mended) = mended(&body) {
                let bare = |bytes: &[u8]| bytes.iter().copied().filter(|b| *b != b'"').collect::<Vec<_>>();
                prop_assert_eq!(bare(&mended), bare(&body));
            }
        }

        #[test]
        fn words_among_structure_end(body in "[\\[\\]{},:\" \\\\naif\\-(1.#]{0,40}") {
            if let Some(mended) = mended(body.as_bytes()) {
                prop_assert!(std::str::from_utf8(&mended).is_ok());
                prop_assert_eq!(super::mended(&mended), None, "once is enough");
            }
        }
    }
}
