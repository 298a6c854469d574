//! The icons, inline so that they take the colour of their text and need no request. Each is decoration: the words beside
//! it, or the label of its button, say what it means. Stroke icons on a 24-pixel grid.
use ccms_core::light::Indicator;
use leptos::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icon {
    Map,
    Lights,
    Devices,
    Person,
    Search,
    Close,
    Plus,
    Minus,
    Fit,
    Keyboard,
    SignOut,
    Power,
    Sun,
    Lamp,
}

impl Icon {
    const fn path(self) -> &'static str {
        match self {
            Self::Map => "M9 4 3.5 6.2v13.6L9 17.6l6 2.4 5.5-2.2V4.2L15 6.4 9 4Zm0 0v13.6m6-11.2V20",
            Self::Lights => "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
            Self::Devices => {
                "M6 6h12v12H6zM10 10h4v4h-4zM9 2.5V6m6-3.5V6m-6 12v3.5m6-3.5v3.5M2.5 9H6m-3.5 6H6m12-6h3.5M18 15h3.5"
            }
            Self::Person => {
                "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm-7.5 8.5c.8-3.6 3.8-5.5 7.5-5.5s6.700 1.900 7.500 5.500"
            }
            Self::Search => "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 4.500 4.500",
            Self::Close => "M6 6l12 12M18 6 6 18",
            Self::Plus => "M12 5v14M5 12h14",
            Self::Minus => "M5 12h14",
            Self::Fit => "M4 9V4h5m6 0h5v5m0 6v5h-5m-6 0H4v-5",
            Self::Keyboard => "M3 6.500h18v11H3zM7 10h.01M11 10h.01M15 10h.01M17.500 10h.01M8 14h8",
            Self::SignOut => "M14 4h5v16h-5M10 8l-4 4 4 4m-4-4h9",
            Self::Power => "M12 3.500v8M7 6.500a7.500 7.500 0 1 0 10 0",
            Self::Sun => {
                "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm0-13v2m0 14v2M3 12h2m14 0h2M5.600 5.600 7 7m10 10 1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400"
            }
            Self::Lamp => {
                "M9 21V7a4 4 0 0 1 4-4h2m-3 3.500c0-2 1.500-3.500 3.500-3.500S19 4.500 19 6.500Zm-6 14.500h6M13.500 9.500l-1 2m3-2v2.500m2-2.500 1 2"
            }
        }
    }
}

pub fn icon(icon: Icon) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
            <path d=icon.path()></path>
        </svg>
    }
}

/// The mark of an indicator as the map draws it: a shape as well as a colour.
pub fn mark(indicator: Indicator) -> impl IntoView {
    let inner = match indicator {
        Indicator::Green => "",
        Indicator::Yellow => "M4.5 8h7",
        Indicator::Red => "M5.5 5.500l5 5m0-5-5 5",
        Indicator::Gray => "",
    };
    view! {
        <svg class="mark" data-indicator=indicator.as_str() viewBox="0 0 16 16" aria-hidden="true" focusable="false">
            <circle cx="8" cy="8" r="6"></circle>
            <path d=inner></path>
        </svg>
    }
}

/// The product's mark: a lamp and its light.
pub fn brand() -> impl IntoView {
    view! {
        <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
            <path class="brand-light" d="M19 13 8 29h22Z"></path>
            <path class="brand-pole" d="M5 29V9a5 5 0 0 1 5-5h6"></path>
            <path class="brand-head" d="M14 10c0-4 3-6.500 6.500-6.500S27 6 27 10Z"></path>
        </svg>
    }
}
