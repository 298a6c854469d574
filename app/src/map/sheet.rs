//! A canvas in a pane of the map. It covers the screen and a margin around it; panning moves it with the map, zooming
//! stretches it until the next drawing. Browser only.
use std::cell::Cell;

use wasm_bindgen::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, HtmlElement};

use super::leaflet::Position;
use super::projection::Camera;

/// Pixels drawn beyond each edge of the screen.
const MARGIN_PX: f64 = 160.0;

pub struct Sheet {
    pub canvas: HtmlCanvasElement,
    pub context: CanvasRenderingContext2d,
    drawn: Cell<Option<Camera>>,
}

impl Sheet {
    pub fn new(pane: &HtmlElement) -> Option<Self> {
        let canvas: HtmlCanvasElement =
            web_sys::window()?.document()?.create_element("canvas").ok()?.dyn_into().ok()?;
        canvas.set_class_name("leaflet-zoom-animated");
        _ = canvas.set_attribute("aria-hidden", "true");
        pane.append_child(&canvas).ok()?;
        let context = canvas.get_context("2d").ok()??.dyn_into().ok()?;
        Some(Self { canvas, context, drawn: Cell::new(None) })
    }

    /// Whether what is drawn still fills the screen.
    pub fn covers(&self, camera: &Camera) -> bool {
        self.drawn.get().is_some_and(|drawn| drawn.covers(camera))
    }

    /// Moves the empty canvas to the screen and gives the camera of its pixels; the context counts CSS pixels.
    pub fn begin(&self, position: &Position) -> Camera {
        let camera = position.camera.grown(MARGIN_PX);
        let ratio = pixel_ratio();
        let (width, height) = ((camera.width * ratio) as u32, (camera.height * ratio) as u32);
        if (self.canvas.width(), self.canvas.height()) != (width, height) {
            self.canvas.set_width(width);
            self.canvas.set_height(height);
            let style = self.canvas.style();
            _ = style.set_property("width", &format!("{}px", camera.width));
            _ = style.set_property("height", &format!("{}px", camera.height));
        } else {
            _ = self.context.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
            self.context.clear_rect(0.0, 0.0, f64::from(width), f64::from(height));
        }
        self.transform(camera.left - position.origin.0, camera.top - position.origin.1, 1.0);
        _ = self.context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0);
        self.drawn.set(Some(camera));
        camera
    }

    /// Stretches what is drawn to where it will be at `zoom`, when the layer origin is at `origin`.
    pub fn stretch(&self, zoom: f64, origin: (f64, f64)) {
        if let Some(drawn) = self.drawn.get() {
            let scale = (zoom - drawn.zoom).exp2();
            self.transform(drawn.left * scale - origin.0, drawn.top * scale - origin.1, scale);
        }
    }

    fn transform(&self, x: f64, y: f64, scale: f64) {
        let text = format!("translate3d({x}px, {y}px, 0) scale({scale})");
        _ = self.canvas.style().set_property("transform", &text);
    }
}

pub fn pixel_ratio() -> f64 {
    web_sys::window().map_or(1.0, |w| w.device_pixel_ratio()).clamp(1.0, 3.0)
}
