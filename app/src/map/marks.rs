//! The lights on their sheet. Near: one stamp each, lit ones with their glow, ids from zoom 18. Far: donuts of the four
//! colours. Very many at once: plain pixels. Drawn from the fleet's columns; no light is ever an element of the page. Browser only.
use std::f64::consts::TAU;

use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use ccms_core::snapshot::MarkState;
use web_sys::CanvasRenderingContext2d;

use super::cluster::{Cluster, clusters, radius_px, short_count};
use super::grid::Grid;
use super::palette::Colours;
use super::pixels;
use super::projection::Camera;
use super::sprites::{Sprites, diameter_px};
use crate::live::Fleet;

/// Below this zoom lights gather in donuts.
pub const CLUSTERS_BELOW_ZOOM: f64 = 14.0;
/// Above this many lights at once they are drawn as pixels.
const STAMPS_MAX: usize = 6_000;
/// With more lights at once each glows less, or the ground would be one glow.
const GLOWS_FULL: f64 = 1_000.0;
const IDS_FROM_ZOOM: f64 = 18.0;
const IDS_MAX: usize = 500;

/// What is drawn, apart from the lights themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Emphasis {
    pub selected: Option<usize>,
    pub hovered: Option<usize>,
    /// Only these are drawn in full; the others are left out.
    pub only: Option<Indicator>,
}

impl Emphasis {
    pub fn shows(&self, fleet: &Fleet, i: usize) -> bool {
        self.only.is_none_or(|only| fleet.state[i].indicator() == only)
    }
}

/// A sheet's context, what it shows, and in which colours.
pub struct Pen<'a> {
    pub context: &'a CanvasRenderingContext2d,
    pub camera: Camera,
    pub ratio: f64,
    pub colours: &'a Colours,
}

/// The lights that may touch the sheet, in the order they are drawn: the worst last, on top.
fn visible(fleet: &Fleet, grid: &Grid, camera: &Camera, emphasis: &Emphasis) -> Vec<usize> {
    let mut found = Vec::new();
    grid.near(camera.grown(40.0).rectangle(), |i| {
        if emphasis.shows(fleet, i) {
            found.push(i);
        }
    });
    found.sort_unstable_by_key(|i| (weight(fleet.state[*i]), *i));
    found
}

const fn weight(state: MarkState) -> u8 {
    match state.indicator() {
        Indicator::Gray => 0,
        Indicator::Green => 1,
        Indicator::Yellow => 2,
        Indicator::Red => 3,
    }
}

/// Draws everything; gives the donuts it drew, for clicks.
pub fn draw(
    pen: &Pen<'_>,
    fleet: &Fleet,
    grid: &Grid,
    emphasis: &Emphasis,
    sprites: &mut Option<Sprites>,
) -> Vec<Cluster> {
    let camera = &pen.camera;
    let lights = visible(fleet, grid, camera, emphasis);
    if camera.zoom < CLUSTERS_BELOW_ZOOM {
        let mut found = clusters(&fleet.x, &fleet.y, &fleet.state, camera.zoom, lights.into_iter());
        // The largest last: where donuts touch, its count stays readable.
        found.sort_unstable_by_key(Cluster::count);
        let singles: Vec<usize> = found.iter().filter_map(|c| c.single).collect();
        stamps(pen, fleet, &singles, sprites);
        found.iter().filter(|c| c.single.is_none()).for_each(|cluster| donut(pen, cluster));
        match emphasis.selected.filter(|i| *i < fleet.len()).and_then(|i| gathered(&found, fleet, i)) {
            Some(cluster) => halo(pen, pen.camera.to_screen(cluster.x, cluster.y), radius_px(cluster.count()) + 4.0),
            None => selected(pen, fleet, emphasis),
        }
        return found;
    }
    if lights.len() > STAMPS_MAX {
        pixels::draw(pen, fleet, &lights);
    } else {
        stamps(pen, fleet, &lights, sprites);
        if camera.zoom >= IDS_FROM_ZOOM && lights.len() <= IDS_MAX {
            lights.iter().for_each(|i| label(pen, fleet, *i, false));
        }
    }
    selected(pen, fleet, emphasis);
    if let Some(i) = emphasis.hovered.filter(|i| *i < fleet.len()) {
        label(pen, fleet, i, true);
    }
    Vec::new()
}

fn stamps(pen: &Pen<'_>, fleet: &Fleet, lights: &[usize], sprites: &mut Option<Sprites>) {
    if !sprites.as_ref().is_some_and(|s| s.fits(pen.camera.zoom, pen.ratio)) {
        *sprites = Sprites::new(pen.camera.zoom, pen.ratio, pen.colours);
    }
    let Some(sprites) = sprites else { return };
    let at = |i: usize| pen.camera.to_screen(fleet.x[i], fleet.y[i]);
    let strength = (GLOWS_FULL / lights.len().max(1) as f64).clamp(0.12, 1.0);
    _ = pen.context.set_global_composite_operation(if pen.colours.dark { "lighten" } else { "darken" });
    for i in lights.iter().copied().filter(|i| fleet.state[*i].power() == Some(PowerState::On)) {
        sprites.stamp_glow(pen.context, at(i), fleet.brightness[i], strength);
    }
    _ = pen.context.set_global_composite_operation("source-over");
    pen.context.set_global_alpha(1.0);
    for i in lights.iter().copied() {
        sprites.stamp(pen.context, at(i), fleet.state[i]);
        if fleet.state[i].command_alive() {
            ring(pen, at(i), diameter_px(pen.camera.zoom) / 2.0 + 3.5, &pen.colours.command, 1.5);
        }
    }
}

fn ring(pen: &Pen<'_>, (x, y): (f64, f64), radius: f64, colour: &str, width: f64) {
    pen.context.set_stroke_style_str(colour);
    pen.context.set_line_width(width);
    pen.context.begin_path();
    _ = pen.context.arc(x, y, radius, 0.0, TAU);
    pen.context.stroke();
}

/// The halo around the selected light, seen on every ground.
fn selected(pen: &Pen<'_>, fleet: &Fleet, emphasis: &Emphasis) {
    let Some(i) = emphasis.selected.filter(|i| *i < fleet.len()) else { return };
    let at = pen.camera.to_screen(fleet.x[i], fleet.y[i]);
    halo(pen, at, diameter_px(pen.camera.zoom) / 2.0 + 5.0);
}

fn halo(pen: &Pen<'_>, at: (f64, f64), radius: f64) {
    ring(pen, at, radius, &pen.colours.ground, 5.0);
    ring(pen, at, radius, &pen.colours.halo, 2.5);
}

/// The donut that a light went into: the halo goes around it and leaves its count readable.
fn gathered<'a>(found: &'a [Cluster], fleet: &Fleet, i: usize) -> Option<&'a Cluster> {
    let (x, y) = (fleet.x[i], fleet.y[i]);
    let holds = |[x0, y0, x1, y1]: [f64; 4]| (x0..=x1).contains(&x) && (y0..=y1).contains(&y);
    found.iter().find(|c| c.single.is_none() && holds(c.bounds))
}

fn label(pen: &Pen<'_>, fleet: &Fleet, i: usize, strong: bool) {
    let (x, y) = pen.camera.to_screen(fleet.x[i], fleet.y[i]);
    let below = y + diameter_px(pen.camera.zoom) / 2.0 + if strong { 14.0 } else { 10.0 };
    let context = pen.context;
    context.set_font(if strong { "600 12px ui-monospace, monospace" } else { "11px ui-monospace, monospace" });
    context.set_text_align("center");
    context.set_text_baseline("middle");
    context.set_line_join("round");
    context.set_line_width(if strong { 5.0 } else { 3.0 });
    context.set_stroke_style_str(&pen.colours.ground);
    context.set_fill_style_str(if strong { &pen.colours.halo } else { &pen.colours.label });
    _ = context.stroke_text(&fleet.id[i], x, below);
    _ = context.fill_text(&fleet.id[i], x, below);
}

/// A ring whose arcs are the shares of the four colours, with the count inside.
fn donut(pen: &Pen<'_>, cluster: &Cluster) {
    let (x, y) = pen.camera.to_screen(cluster.x, cluster.y);
    let (radius, context) = (radius_px(cluster.count()), pen.context);
    context.set_fill_style_str(&pen.colours.surface);
    context.begin_path();
    _ = context.arc(x, y, radius + 2.0, 0.0, TAU);
    context.fill();
    context.set_line_width(4.0);
    context.set_line_cap("butt");
    let mut from = -TAU / 4.0;
    for (share, colour) in cluster.by_indicator.iter().zip(&pen.colours.indicator) {
        let to = from + TAU * f64::from(*share) / f64::from(cluster.count());
        if *share > 0 {
            context.set_stroke_style_str(colour);
            context.begin_path();
            _ = context.arc(x, y, radius - 1.0, from, to);
            context.stroke();
        }
        from = to;
    }
    context.set_font("600 11px system-ui, sans-serif");
    context.set_text_align("center");
    context.set_text_baseline("middle");
    context.set_fill_style_str(&pen.colours.halo);
    _ = context.fill_text(&short_count(cluster.count()), x, y + 0.5);
}
