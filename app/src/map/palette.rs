//! The colours of the map, read from the stylesheet's tokens, so that theme and colour-blind set have one home. Browser only.
use web_sys::{CssStyleDeclaration, HtmlElement};

/// Every colour as CSS text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Colours {
    pub ground: String,
    pub road: String,
    pub road_main: String,
    pub path: String,
    pub building: String,
    pub water: String,
    pub green_area: String,
    pub street_name: String,
    /// In the order of `Indicator::ALL`.
    pub indicator: [String; 4],
    /// The brightest that lamps together make their ground.
    pub glow: String,
    pub label: String,
    pub halo: String,
    pub command: String,
    pub surface: String,
    /// Lamps lighten a dark ground; a light one they tint.
    pub dark: bool,
}

impl Colours {
    pub fn read(element: &HtmlElement) -> Self {
        let Some(style) = web_sys::window().and_then(|w| w.get_computed_style(element).ok().flatten()) else {
            return Self::default();
        };
        let of = |name: &str| token(&style, name);
        Self {
            ground: of("--map-ground"),
            road: of("--map-road"),
            road_main: of("--map-road-main"),
            path: of("--map-path"),
            building: of("--map-building"),
            water: of("--map-water"),
            green_area: of("--map-green"),
            street_name: of("--map-name"),
            indicator: ["--green", "--yellow", "--red", "--gray"].map(of),
            glow: of("--map-glow"),
            label: of("--map-label"),
            halo: of("--map-halo"),
            command: of("--focus"),
            surface: of("--surface"),
            dark: rgb(&of("--map-ground")).iter().map(|c| u32::from(*c)).sum::<u32>() < 384,
        }
    }
}

fn token(style: &CssStyleDeclaration, name: &str) -> String {
    style.get_property_value(name).unwrap_or_default().trim().to_owned()
}

/// The three channels of `rgb(r, g, b)` or `#rrggbb`; black for anything else.
pub fn rgb(text: &str) -> [u8; 3] {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix('#').filter(|h| h.len() == 6 && h.is_ascii()) {
        let channel = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).unwrap_or(0);
        return [channel(0), channel(2), channel(4)];
    }
    let inside = text.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
    let mut channels = inside.split([',', ' ', '/']).filter_map(|part| part.trim().parse::<f64>().ok());
    [(); 3].map(|()| channels.next().unwrap_or(0.0).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::rgb;

    #[test]
    fn reads_the_colours_that_browsers_compute() {
        assert_eq!(rgb("rgb(63, 185, 80)"), [63, 185, 80]);
        assert_eq!(rgb("rgb(63 185 80 / 0.5)"), [63, 185, 80]);
        assert_eq!(rgb(" #0e141b "), [14, 20, 27]);
        assert_eq!(rgb("tomato"), [0, 0, 0]);
    }
}
