//! The city's own GeoJSON as a quiet ground: water, green, buildings, roads, street names. Drawn in the theme's colours
//! from paths that are built once. Browser only.
use std::cell::{Cell, RefCell};

use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{CanvasRenderingContext2d, CanvasWindingRule, Path2d, Response};

use super::geojson::{Collection, RoadClass, SHAPE_ZOOM, Shape, StreetName};
use super::palette::Colours;
use super::projection::{Camera, around, world_px};

/// Street names appear from here on.
const NAMES_FROM_ZOOM: f64 = 16.5;
/// Layers in the order they are drawn.
const ORDER: [&str; 4] = ["water", "green", "buildings", "roads"];

#[derive(Default)]
struct Paths {
    water: Option<Path2d>,
    green: Option<Path2d>,
    buildings: Option<Path2d>,
    paths: Option<Path2d>,
    streets: Option<Path2d>,
    main: Option<Path2d>,
    names: Vec<StreetName>,
}

pub struct Basemap {
    /// Of the shapes, in the unit square; the first shape's place where the city has no light to name one.
    origin: Cell<Option<(f64, f64)>>,
    /// `[x0, y0, x1, y1]` around all shapes, as the shapes count.
    extent: Cell<Option<[f64; 4]>>,
    paths: RefCell<Paths>,
}

impl Basemap {
    pub fn new(origin: Option<(f64, f64)>) -> Self {
        Self { origin: Cell::new(origin), extent: Cell::default(), paths: RefCell::default() }
    }

    /// `[x0, y0, x1, y1]` of the ground in the unit square.
    pub fn extent(&self) -> Option<[f64; 4]> {
        let ((x, y), [x0, y0, x1, y1]) = (self.origin.get()?, self.extent.get()?);
        let scale = world_px(SHAPE_ZOOM);
        Some([x + x0 / scale, y + y0 / scale, x + x1 / scale, y + y1 / scale])
    }

    /// Fetches the named layers, one after the other; calls `arrived` after each. A layer that fails is left out.
    pub async fn load(&self, layers: &[String], arrived: impl Fn()) {
        for name in ORDER.into_iter().filter(|name| layers.iter().any(|l| l == name)) {
            if let Some(collection) = fetch(name).await {
                self.keep(name, &collection);
                arrived();
            }
        }
    }

    fn keep(&self, name: &str, collection: &Collection) {
        let Some(origin) = self.origin.get().or_else(|| collection.first()) else { return };
        self.origin.set(Some(origin));
        let shapes = collection.shapes(origin);
        let corners = self.extent.get().into_iter().flat_map(|[x0, y0, x1, y1]| [(x0, y0), (x1, y1)]);
        self.extent.set(around(corners.chain(shapes.iter().flat_map(|shape| shape.points.iter().copied()))));
        let all = || path(&shapes, |_| true);
        let of = |class| path(&shapes, move |shape| shape.road.unwrap_or(RoadClass::Street) == class);
        let mut paths = self.paths.borrow_mut();
        match name {
            "water" => paths.water = all(),
            "green" => paths.green = all(),
            "buildings" => paths.buildings = all(),
            _ => {
                paths.paths = of(RoadClass::Path);
                paths.streets = of(RoadClass::Street);
                paths.main = of(RoadClass::Main);
                paths.names = collection.names(origin);
            }
        }
    }

    pub fn draw(&self, context: &CanvasRenderingContext2d, camera: &Camera, ratio: f64, colours: &Colours) {
        let (paths, Some(origin)) = (self.paths.borrow(), self.origin.get()) else { return };
        let scale = (camera.zoom - SHAPE_ZOOM).exp2();
        let world = world_px(camera.zoom);
        let (left, top) = (origin.0 * world - camera.left, origin.1 * world - camera.top);
        _ = context.set_transform(scale * ratio, 0.0, 0.0, scale * ratio, left * ratio, top * ratio);
        let fill = |path: &Option<Path2d>, colour: &str| {
            if let Some(path) = path {
                context.set_fill_style_str(colour);
                context.fill_with_path_2d_and_winding(path, CanvasWindingRule::Evenodd);
            }
        };
        let stroke = |path: &Option<Path2d>, colour: &str, width_px: f64| {
            if let Some(path) = path {
                context.set_stroke_style_str(colour);
                context.set_line_width(width_px / scale);
                context.stroke_with_path(path);
            }
        };
        context.set_line_cap("round");
        context.set_line_join("round");
        fill(&paths.water, &colours.water);
        fill(&paths.green, &colours.green_area);
        fill(&paths.buildings, &colours.building);
        // Metres of a street's width grow with the zoom, but never vanish.
        let width = |at_16: f64| (at_16 * scale.powf(0.85)).max(0.6);
        stroke(&paths.paths, &colours.path, width(1.0));
        stroke(&paths.streets, &colours.road, width(4.0));
        stroke(&paths.main, &colours.road_main, width(6.0));
        if camera.zoom >= NAMES_FROM_ZOOM {
            self.draw_names(context, &paths.names, ratio, (left, top, scale), colours);
        }
        _ = context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0);
    }

    fn draw_names(
        &self,
        context: &CanvasRenderingContext2d,
        names: &[StreetName],
        ratio: f64,
        (left, top, scale): (f64, f64, f64),
        colours: &Colours,
    ) {
        context.set_fill_style_str(&colours.street_name);
        context.set_stroke_style_str(&colours.road);
        context.set_line_width(3.0);
        context.set_font("11px system-ui, sans-serif");
        context.set_text_align("center");
        context.set_text_baseline("middle");
        for street in names {
            let room = street.length * scale;
            let wide = context.measure_text(&street.name).map_or(f64::MAX, |m| m.width());
            if wide > room {
                continue;
            }
            let (x, y) = (left + street.middle.0 * scale, top + street.middle.1 * scale);
            _ = context.set_transform(ratio, 0.0, 0.0, ratio, x * ratio, y * ratio);
            _ = context.rotate(street.angle);
            _ = context.stroke_text(&street.name, 0.0, 0.0);
            _ = context.fill_text(&street.name, 0.0, 0.0);
        }
    }
}

fn path(shapes: &[Shape], takes: impl Fn(&Shape) -> bool) -> Option<Path2d> {
    let path = Path2d::new().ok()?;
    for shape in shapes.iter().filter(|s| takes(s)) {
        let mut points = shape.points.iter();
        if let Some((x, y)) = points.next() {
            path.move_to(*x, *y);
        }
        points.for_each(|(x, y)| path.line_to(*x, *y));
        if shape.closed {
            path.close_path();
        }
    }
    Some(path)
}

async fn fetch(layer: &str) -> Option<Collection> {
    let url = format!("/basemap/{layer}.geojson");
    let response: Response = JsFuture::from(window().fetch_with_str(&url)).await.ok()?.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    serde_json::from_str(&text).ok()
}
