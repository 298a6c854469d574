//! Dark, light or as the system says; status colours in the ordinary or the colour-blind set. Both are remembered in
//! cookies, which the server reads into the document's first tag, so that no page flashes in the wrong colours.
use leptos::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    System,
    Dark,
    Light,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Dark, Self::Light];
    pub const COOKIE: &str = "theme";

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }

    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|t| t.as_str() == text).unwrap_or(Self::System)
    }

    pub const fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Dark => "Dark",
            Self::Light => "Light",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    Standard,
    ColourBlind,
}

impl Palette {
    pub const COOKIE: &str = "palette";

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::ColourBlind => "colour-blind",
        }
    }

    pub fn parse(text: &str) -> Self {
        if text == Self::ColourBlind.as_str() { Self::ColourBlind } else { Self::Standard }
    }
}

/// How this person wants the screen to look; in context below the frame.
#[derive(Clone, Copy)]
pub struct Appearance {
    pub theme: RwSignal<Theme>,
    pub palette: RwSignal<Palette>,
}

impl Appearance {
    pub fn new() -> Self {
        let appearance = Self { theme: RwSignal::new(Theme::System), palette: RwSignal::new(Palette::Standard) };
        // The document knows what the server read from the cookies.
        Effect::new(move |_| {
            let root = document().document_element();
            let of = |name| root.as_ref().and_then(|r| r.get_attribute(name)).unwrap_or_default();
            appearance.theme.set(Theme::parse(&of("data-theme")));
            appearance.palette.set(Palette::parse(&of("data-palette")));
        });
        appearance
    }

    pub fn choose_theme(&self, theme: Theme) {
        remember(Theme::COOKIE, "data-theme", theme.as_str());
        self.theme.set(theme);
    }

    pub fn choose_palette(&self, palette: Palette) {
        remember(Palette::COOKIE, "data-palette", palette.as_str());
        self.palette.set(palette);
    }
}

impl Default for Appearance {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets the document's attribute now, and a cookie for a year.
fn remember(cookie: &str, attribute: &str, value: &str) {
    if let Some(root) = document().document_element() {
        _ = root.set_attribute(attribute, value);
    }
    let text = format!("{cookie}={value}; Path=/; Max-Age=31536000; SameSite=Lax");
    _ = js_sys::Reflect::set(&document(), &"cookie".into(), &text.into());
}
