//! The only file that touches Leaflet: the frame of the map (pan, zoom, tiles, panes), nothing of what is drawn. Browser only.
//! Leaflet is a global script that the shell loads before the browser half starts.
use leaflet::{Evented, LatLng, LatLngBounds, Map, MapOptions, MouseEvent, TileLayer};
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;

use super::projection::{self, Camera};

/// How close and how far the map goes.
pub const ZOOM_MAX: f64 = 20.0;
const ZOOM_MIN: f64 = 3.0;
/// How close the map goes by itself, for a city or for one light.
const FIT_ZOOM_MAX: f64 = 17.0;

#[wasm_bindgen]
extern "C" {
    /// The parts of `L.Map` that the binding leaves out.
    #[wasm_bindgen(extends = Map)]
    type Insides;

    #[wasm_bindgen(method, js_name = getPixelOrigin)]
    fn pixel_origin(this: &Insides) -> leaflet::Point;

    #[wasm_bindgen(method, js_name = containerPointToLayerPoint)]
    fn container_to_layer(this: &Insides, point: &JsValue) -> leaflet::Point;

    #[wasm_bindgen(method, js_name = fitBounds)]
    fn fit(this: &Insides, bounds: &LatLngBounds, options: &JsValue);

    #[wasm_bindgen(method, js_name = setView)]
    fn go_to(this: &Insides, center: &LatLng, zoom: f64, options: &JsValue);

    /// `zoomanim`: where the animation goes.
    type ZoomEvent;

    #[wasm_bindgen(method, getter)]
    fn center(this: &ZoomEvent) -> LatLng;

    #[wasm_bindgen(method, getter)]
    fn zoom(this: &ZoomEvent) -> f64;

    #[wasm_bindgen(method, getter, js_name = containerPoint)]
    fn container_point(this: &PointerAt) -> leaflet::Point;

    #[wasm_bindgen(extends = MouseEvent)]
    type PointerAt;
}

/// Leaflet's map on an element.
pub struct Board {
    map: Map,
    insides: Insides,
}

/// Where the map is and how Leaflet counts layer pixels there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    pub camera: Camera,
    /// World pixels of Leaflet's layer origin.
    pub origin: (f64, f64),
}

impl Board {
    /// `None` when Leaflet is not there or refuses the element.
    pub fn new(element: &HtmlElement, bounds: Option<[f64; 4]>) -> Option<Self> {
        js_sys::Reflect::has(&js_sys::global(), &"L".into()).ok().filter(|there| *there)?;
        let calm = calm();
        let options = MapOptions::new();
        options.set_attribution_control(false);
        options.set_zoom_control(false);
        options.set_zoom_snap(0.5);
        options.set_zoom_delta(1.0);
        options.set_wheel_px_per_zoom_level(100.0);
        options.set_min_zoom(ZOOM_MIN);
        options.set_max_zoom(ZOOM_MAX);
        options.set_zoom_animation(!calm);
        options.set_inertia(!calm);
        options.set_fade_animation(false);
        options.set_box_zoom(false);
        let map = Map::new_with_element(element, &options).ok()?;
        let board = Self { insides: map.clone().unchecked_into(), map };
        match bounds {
            Some(bounds) => board.show(bounds, false),
            None => _ = board.map.set_view(&LatLng::new(20.0, 10.0), ZOOM_MIN),
        }
        Some(board)
    }

    /// An element below the lights and above the tiles, or above both, as the stylesheet orders `leaflet-{name}-pane`.
    pub fn pane(&self, name: &str) -> HtmlElement {
        self.map.create_pane_by_name(name)
    }

    /// Raster tiles at the very bottom; `failed` is called for each that does not arrive.
    pub fn tiles(&self, url: &str, failed: impl Fn() + 'static) {
        let layer = TileLayer::new(url);
        layer.add_to(&self.map);
        let listener = Closure::<dyn Fn()>::new(failed).into_js_value();
        layer.unchecked_ref::<Evented>().on("tileerror", &listener);
    }

    pub fn position(&self) -> Position {
        let (zoom, size) = (self.map.get_zoom(), self.map.get_size());
        let origin = self.insides.pixel_origin();
        let corner = self.corner();
        let camera =
            Camera { zoom, left: origin.x() + corner.0, top: origin.y() + corner.1, width: size.x(), height: size.y() };
        Position { camera, origin: (origin.x(), origin.y()) }
    }

    /// The layer point at the left upper corner of the screen.
    fn corner(&self) -> (f64, f64) {
        let zero = js_sys::Array::of2(&0.into(), &0.into());
        let corner = self.insides.container_to_layer(&zero);
        (corner.x(), corner.y())
    }

    /// Where Leaflet's layer origin will be after a zoom to `zoom` around `center`.
    fn origin_after(&self, center: &LatLng, zoom: f64) -> (f64, f64) {
        let (x, y) = projection::world(center.lat(), center.lng());
        let (scale, size, corner) = (projection::world_px(zoom), self.map.get_size(), self.corner());
        ((x * scale - size.x() / 2.0 - corner.0).round(), (y * scale - size.y() / 2.0 - corner.1).round())
    }

    pub fn on(&self, events: &str, then: impl Fn() + 'static) {
        let listener = Closure::<dyn Fn()>::new(then).into_js_value();
        self.map.on(events, &listener);
    }

    /// During a zoom: the zoom and the layer origin it goes to.
    pub fn on_zooming(&self, then: impl Fn(f64, (f64, f64)) + Clone + 'static) {
        let board = Self { map: self.map.clone(), insides: self.map.clone().unchecked_into() };
        let animated = then.clone();
        let listener = Closure::<dyn Fn(ZoomEvent)>::new(move |event: ZoomEvent| {
            animated(event.zoom(), board.origin_after(&event.center(), event.zoom()));
        });
        self.map.on("zoomanim", &listener.into_js_value());
        let board = Self { map: self.map.clone(), insides: self.map.clone().unchecked_into() };
        self.on("zoom", move || {
            let zoom = board.map.get_zoom();
            then(zoom, board.origin_after(&board.map.get_center(), zoom));
        });
    }

    /// `click`, `mousemove`, `mouseout`: with the pixel on the map.
    pub fn on_pointer(&self, event: &str, then: impl Fn(f64, f64) + 'static) {
        let listener = Closure::<dyn Fn(PointerAt)>::new(move |event: PointerAt| {
            let at = event.container_point();
            then(at.x(), at.y());
        });
        self.map.on(event, &listener.into_js_value());
    }

    /// Shows `[south, west, north, east]`.
    pub fn show(&self, [south, west, north, east]: [f64; 4], animate: bool) {
        let bounds = LatLngBounds::new(&LatLng::new(south, west), &LatLng::new(north, east));
        let padding = js_sys::Array::of2(&40.into(), &40.into());
        let options =
            object(&[("animate", animate.into()), ("maxZoom", FIT_ZOOM_MAX.into()), ("padding", padding.into())]);
        self.insides.fit(&bounds, &options);
    }

    /// Brings a point of the unit square to the pixel `(px, py)`, at the present zoom or `zoom`.
    pub fn bring(&self, (x, y): (f64, f64), (px, py): (f64, f64), zoom: Option<f64>) {
        let now = self.position().camera;
        let zoom = zoom.unwrap_or(now.zoom);
        let scale = projection::world_px(zoom);
        let (cx, cy) = (x * scale + now.width / 2.0 - px, y * scale + now.height / 2.0 - py);
        let (lat, lon) = projection::place(cx / scale, cy / scale);
        let options = object(&[("animate", (!calm()).into())]);
        self.insides.go_to(&LatLng::new(lat, lon), zoom, &options);
    }

    pub fn zoom_by(&self, steps: f64) {
        self.map.set_zoom(self.map.get_zoom() + steps);
    }

    pub fn remove(&self) {
        self.map.stop();
        self.map.off_all();
        self.map.remove();
    }
}

/// Whether the person asked for less motion.
fn calm() -> bool {
    let asked = web_sys::window().and_then(|w| w.match_media("(prefers-reduced-motion: reduce)").ok().flatten());
    asked.is_some_and(|list| list.matches())
}

fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = js_sys::Object::new();
    for (key, value) in entries {
        _ = js_sys::Reflect::set(&object, &(*key).into(), value);
    }
    object.into()
}
