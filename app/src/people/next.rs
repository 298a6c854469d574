//! Where to go after signing in. The address bar is not to be trusted: only a path of this site is followed.

const FALLBACK: &str = "/map";

/// The path to follow: `asked` if it is a plain path of this site, else the map.
pub fn local_path(asked: Option<&str>) -> &str {
    let Some(path) = asked else { return FALLBACK };
    let plain = path.starts_with('/')
        && !path.starts_with("//")
        && !path.starts_with("/sign-in")
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if plain { path } else { FALLBACK }
}

/// The sign-in page that leads back to `path`.
pub fn sign_in_then(path: &str, query: &str) -> String {
    let mut wanted = path.to_owned();
    if !query.is_empty() {
        wanted.push('?');
        wanted.push_str(query.trim_start_matches('?'));
    }
    if wanted == "/" || wanted == FALLBACK {
        return "/sign-in".into();
    }
    let mut out = String::from("/sign-in?next=");
    for byte in wanted.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
            out.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_only_paths_of_this_site() {
        assert_eq!(local_path(Some("/lights?q=a")), "/lights?q=a");
        for bad in ["//evil.example", "https://evil.example", "/\\evil.example", "lights", "", "/a\nb", "/sign-in"] {
            assert_eq!(local_path(Some(bad)), "/map", "{bad:?}");
        }
        assert_eq!(local_path(None), "/map");
    }

    #[test]
    fn remembers_where_a_person_wanted_to_go() {
        assert_eq!(sign_in_then("/map", "light=SL001"), "/sign-in?next=/map%3Flight%3DSL001");
        assert_eq!(sign_in_then("/lights", ""), "/sign-in?next=/lights");
        assert_eq!(sign_in_then("/map", ""), "/sign-in");
    }
}
