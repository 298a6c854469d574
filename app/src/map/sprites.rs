//! How one light looks, painted once per size and colour set and then stamped: filled = lit, ring = off, a bar for yellow, a
//! cross for red, a dashed ring for gray. Colour is never alone. Browser only; the sizes are pure.
use std::f64::consts::TAU;

use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use ccms_core::snapshot::MarkState;
use wasm_bindgen::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::cluster::slot;
use super::palette::Colours;

/// Diameter of a mark in pixels: 5 at zoom 13, 9 at 16, 14 at 18.
pub fn diameter_px(zoom: f64) -> f64 {
    let steps = [(3.0, 3.0), (13.0, 5.0), (16.0, 9.0), (18.0, 14.0), (20.0, 20.0)];
    let found = steps.windows(2).find(|w| zoom <= w[1].0).map(|w| {
        let ((z0, d0), (z1, d1)) = (w[0], w[1]);
        d0 + (d1 - d0) * (zoom - z0) / (z1 - z0)
    });
    found.unwrap_or(20.0).max(3.0)
}

/// Room around a mark in its tile, in diameters.
const TILE_PER_DIAMETER: f64 = 2.0;
/// How much larger a critical light is drawn: it must be found at a glance.
const CRITICAL_GROWTH: f64 = 1.3;
/// Width of the glow in diameters.
const GLOW_PER_DIAMETER: f64 = 6.0;

/// One row per indicator; columns: off or unknown, lit.
pub struct Sprites {
    marks: HtmlCanvasElement,
    glow: HtmlCanvasElement,
    key: (u64, u64),
    tile: f64,
    glow_side: f64,
}

fn canvas(width: f64, height: f64) -> Option<(HtmlCanvasElement, CanvasRenderingContext2d)> {
    let canvas: HtmlCanvasElement = web_sys::window()?.document()?.create_element("canvas").ok()?.dyn_into().ok()?;
    canvas.set_width(width.ceil() as u32);
    canvas.set_height(height.ceil() as u32);
    let context = canvas.get_context("2d").ok()??.dyn_into().ok()?;
    Some((canvas, context))
}

impl Sprites {
    pub fn new(zoom: f64, ratio: f64, colours: &Colours) -> Option<Self> {
        let diameter = diameter_px(zoom);
        // Whole device pixels, or the stamps blur.
        let tile = (diameter * TILE_PER_DIAMETER * ratio).ceil() / ratio;
        let (marks, context) = canvas(2.0 * tile * ratio, 4.0 * tile * ratio)?;
        _ = context.scale(ratio, ratio);
        for indicator in Indicator::ALL {
            for lit in [false, true] {
                let x = tile * (f64::from(u8::from(lit)) + 0.5);
                let y = tile * (slot(indicator) as f64 + 0.5);
                let r = diameter / 2.0 * if indicator == Indicator::Red { CRITICAL_GROWTH } else { 1.0 };
                paint(&context, (x, y), r, indicator, lit, colours);
            }
        }
        let glow_side = (diameter * GLOW_PER_DIAMETER * ratio).ceil() / ratio;
        let (glow, context) = canvas(glow_side * ratio, glow_side * ratio)?;
        _ = context.scale(ratio, ratio);
        paint_glow(&context, glow_side / 2.0, colours);
        Some(Self { marks, glow, key: Self::key(zoom, ratio), tile, glow_side })
    }

    fn key(zoom: f64, ratio: f64) -> (u64, u64) {
        (diameter_px(zoom).to_bits(), ratio.to_bits())
    }

    pub fn fits(&self, zoom: f64, ratio: f64) -> bool {
        self.key == Self::key(zoom, ratio)
    }

    /// The light around a lit lamp; `brightness` 0 to 100. Stamped with `lighten` on a dark ground and `darken` on a light one, so
    /// that many lamps together reach the glow's own colour and never burn out.
    /// `strength` 0 to 1.
    pub fn stamp_glow(&self, context: &CanvasRenderingContext2d, (x, y): (f64, f64), brightness: u8, strength: f64) {
        context.set_global_alpha(strength * (0.25 + 0.75 * f64::from(brightness.min(100)) / 100.0));
        let (side, half) = (self.glow_side, self.glow_side / 2.0);
        _ = context.draw_image_with_html_canvas_element_and_dw_and_dh(&self.glow, x - half, y - half, side, side);
    }

    pub fn stamp(&self, context: &CanvasRenderingContext2d, (x, y): (f64, f64), state: MarkState) {
        let (tile, half) = (self.tile, self.tile / 2.0);
        let ratio = f64::from(self.marks.width()) / (2.0 * tile);
        let column = f64::from(u8::from(state.power() == Some(PowerState::On)));
        let row = slot(state.indicator()) as f64;
        _ = context.draw_image_with_html_canvas_element_and_sw_and_sh_and_dx_and_dy_and_dw_and_dh(
            &self.marks,
            column * tile * ratio,
            row * tile * ratio,
            tile * ratio,
            tile * ratio,
            x - half,
            y - half,
            tile,
            tile,
        );
    }
}

fn paint(
    context: &CanvasRenderingContext2d,
    (x, y): (f64, f64),
    r: f64,
    indicator: Indicator,
    lit: bool,
    colours: &Colours,
) {
    let colour = &colours.indicator[slot(indicator)];
    let line = (r * 0.36).clamp(1.0, 2.5);
    let circle = |radius: f64| {
        context.begin_path();
        _ = context.arc(x, y, radius, 0.0, TAU);
    };
    // A rim in the colour of the ground parts neighbours.
    context.set_fill_style_str(&colours.ground);
    circle(r + 1.0);
    context.fill();

    context.set_line_width(line);
    context.set_line_cap("round");
    context.set_stroke_style_str(colour);
    if lit {
        context.set_fill_style_str(colour);
        circle(r);
        context.fill();
        context.set_stroke_style_str(&colours.ground);
    } else {
        let dash = js_sys::Array::new();
        if indicator == Indicator::Gray {
            let piece = TAU * r / 10.0;
            dash.push(&piece.into());
            dash.push(&piece.into());
        }
        context.set_line_cap("butt");
        _ = context.set_line_dash(&dash);
        circle(r - line / 2.0);
        context.stroke();
        _ = context.set_line_dash(&js_sys::Array::new());
    }
    let sign = |lines: &[[f64; 4]]| {
        context.begin_path();
        for [x0, y0, x1, y1] in lines {
            context.move_to(x + x0 * r, y + y0 * r);
            context.line_to(x + x1 * r, y + y1 * r);
        }
        context.stroke();
    };
    match indicator {
        Indicator::Red => {
            if lit {
                // The only white on the map: it is seen first.
                context.set_stroke_style_str("#ffffff");
            }
            sign(&[[-0.4, -0.4, 0.4, 0.4], [-0.4, 0.4, 0.4, -0.4]]);
        }
        Indicator::Yellow => sign(&[[-0.5, 0.0, 0.5, 0.0]]),
        Indicator::Green | Indicator::Gray => {}
    }
}

fn paint_glow(context: &CanvasRenderingContext2d, half: f64, colours: &Colours) {
    let Ok(gradient) = context.create_radial_gradient(half, half, 0.0, half, half, half) else { return };
    let [r, g, b] = super::palette::rgb(&colours.glow);
    for (at, alpha) in [(0.0, 0.85), (0.2, 0.6), (0.45, 0.24), (0.72, 0.07), (1.0, 0.0)] {
        _ = gradient.add_color_stop(at, &format!("rgba({r}, {g}, {b}, {alpha})"));
    }
    context.set_fill_style_canvas_gradient(&gradient);
    context.fill_rect(0.0, 0.0, 2.0 * half, 2.0 * half);
}

#[cfg(test)]
mod tests {
    use super::diameter_px;

    #[test]
    fn marks_have_the_sizes_of_the_design() {
        assert_eq!([13.0, 16.0, 18.0].map(diameter_px), [5.0, 9.0, 14.0]);
        assert_eq!(diameter_px(22.0), 20.0);
        assert!(diameter_px(14.5) > 5.0 && diameter_px(14.5) < 9.0);
    }
}
