//! The document around the app: head, theme, content policy, and the few lines that start the browser half.
//!
//! The start is our own instead of leptos' `HydrationScripts`, whose preload of 0.8.23 writes the nonce into `crossorigin` and
//! leaves pages dead in some browsers. Ours has no preload attribute games and tries a second time when loading fails.
#![cfg_attr(not(feature = "ssr"), allow(unused))]

/// The content policy of every page. Tiles are the only thing that may come from elsewhere, and only if the city
/// configured them; `reload` is the socket over which `cargo leptos watch` says that a new build is there.
pub fn csp(nonce: &str, tile_origin: Option<&str>, reload: Option<&str>) -> String {
    let (space, tiles) = tile_origin.map_or(("", ""), |origin| (" ", origin));
    let (gap, reload) = reload.map_or(("", ""), |socket| (" ", socket));
    format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self' 'nonce-{nonce}'; \
         img-src 'self' data:{space}{tiles}; connect-src 'self'{gap}{reload}; object-src 'none'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
    )
}

/// `https://tiles.example` of `https://{s}.tiles.example/{z}/{x}/{y}.png`; a `{s}` becomes a wildcard. `None` for a path of this
/// site and for anything that could break out of the policy.
pub fn tile_origin(tile_url: &str) -> Option<String> {
    let (scheme, rest) = tile_url.split_once("://")?;
    let host = rest.split('/').next()?.replace("{s}", "*");
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:*[]".contains(&b));
    (plain && matches!(scheme, "http" | "https")).then(|| format!("{scheme}://{host}"))
}

const START: &str = "const start = () => import('/pkg/ccms.js').then(async (app) => {
  await app.default({ module_or_path: '/pkg/ccms.wasm' });
  app.hydrate();
});
start().catch(() => setTimeout(() => start().catch((error) => console.error('the page could not start', error)), 1500));";

#[cfg(feature = "ssr")]
pub use server::{ContentPolicy, set_content_policy, shell};

#[cfg(feature = "ssr")]
mod server {
    use axum::http::{HeaderValue, header, request::Parts};
    use leptos::config::LeptosOptions;
    use leptos::nonce::use_nonce;
    use leptos::prelude::*;
    use leptos_axum::ResponseOptions;
    use leptos_meta::MetaTags;

    use super::{START, csp, tile_origin};
    use crate::app::App;
    use crate::frame::{Palette, Theme};

    /// The whole document; the browser takes over only its body.
    pub fn shell(options: LeptosOptions) -> impl IntoView {
        let theme = Theme::parse(&cookie(Theme::COOKIE).unwrap_or_default());
        let palette = Palette::parse(&cookie(Palette::COOKIE).unwrap_or_default());
        view! {
            <!DOCTYPE html>
            <html lang="en" data-theme=theme.as_str() data-palette=palette.as_str()>
                <head>
                    <meta charset="utf-8"/>
                    <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover"/>
                    <meta name="color-scheme" content="dark light"/>
                    <meta name="description" content="Control and monitoring of street lights"/>
                    <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                    <link rel="stylesheet" href="/vendor/leaflet/leaflet.css"/>
                    <link rel="stylesheet" href="/pkg/ccms.css"/>
                    <link rel="modulepreload" href="/pkg/ccms.js"/>
                    <script src="/vendor/leaflet/leaflet.js" defer nonce=use_nonce()></script>
                    <script type="module" nonce=use_nonce()>{START}</script>
                    <AutoReload options/>
                    <MetaTags/>
                </head>
                <body>
                    <App/>
                </body>
            </html>
        }
    }

    fn cookie(name: &str) -> Option<String> {
        let parts = use_context::<Parts>()?;
        let header = parts.headers.get(header::COOKIE)?.to_str().ok()?;
        let found = header.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name)?;
        Some(found.1.to_owned())
    }

    /// The policy of the page that is being rendered, to be widened once the city is known.
    pub struct ContentPolicy(ResponseOptions, String);

    impl ContentPolicy {
        /// `None` when no page is being rendered. Call before the first await.
        pub fn here() -> Option<Self> {
            Some(Self(use_context::<ResponseOptions>()?, use_nonce()?.to_string()))
        }

        pub fn allow_tiles(&self, tile_url: Option<&str>) {
            if let Some(origin) = tile_url.and_then(tile_origin) {
                self.set(Some(&origin));
            }
        }

        fn set(&self, origin: Option<&str>) {
            if let Ok(value) = HeaderValue::from_str(&csp(&self.1, origin, live_reload().as_deref())) {
                self.0.insert_header(header::CONTENT_SECURITY_POLICY, value);
            }
        }
    }

    /// Set by `cargo leptos watch` alone.
    fn live_reload() -> Option<String> {
        std::env::var_os("LEPTOS_WATCH")?;
        let port = std::env::var("LEPTOS_RELOAD_PORT").ok()?.parse::<u16>().ok()?;
        Some(format!("ws://127.0.0.1:{port} ws://localhost:{port}"))
    }

    /// Every page starts with the narrow policy.
    pub fn set_content_policy() {
        if let Some(policy) = ContentPolicy::here() {
            policy.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_opens_only_for_configured_tiles() {
        assert!(csp("abc", None, None).contains("img-src 'self' data:; "));
        assert!(csp("abc", Some("https://t.example"), None).contains("img-src 'self' data: https://t.example; "));
        assert!(!csp("abc", None, None).contains("unsafe-inline"));
    }

    #[test]
    fn a_tile_address_gives_its_origin_and_nothing_more() {
        assert_eq!(tile_origin("https://{s}.t.example/{z}/{x}/{y}.png").as_deref(), Some("https://*.t.example"));
        assert_eq!(tile_origin("http://10.0.0.1:8080/{z}").as_deref(), Some("http://10.0.0.1:8080"));
        assert_eq!(tile_origin("/tiles/{z}/{x}/{y}.png"), None);
        assert_eq!(tile_origin("https://a; script-src *"), None);
        assert_eq!(tile_origin("ftp://a/"), None);
    }
}
