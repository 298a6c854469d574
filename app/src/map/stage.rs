//! What stands between signals and pixels: one map with its two sheets, redrawn at most once per frame, and only the sheet
//! that changed. There is one map per page; components reach it through [`with`]. Browser only.
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use ccms_core::light::Indicator;
use ccms_core::view::MapView;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::HtmlElement;

use super::basemap::Basemap;
use super::cluster::{Cluster, radius_px};
use super::grid::Grid;
use super::leaflet::Board;
use super::marks::{self, CLUSTERS_BELOW_ZOOM, Emphasis, Pen};
use super::palette::Colours;
use super::projection::{place, world, world_px};
use super::sheet::{Sheet, pixel_ratio};
use super::sprites::{Sprites, diameter_px};
use crate::live::Fleet;

/// The nearest zoom at which one light is shown by itself.
const LIGHT_ZOOM: f64 = 17.0;
/// A pointer this close to a mark means it.
const REACH_PX: f64 = 12.0;
/// A selected light keeps this distance from the edges.
const EDGE_PX: f64 = 48.0;

thread_local! {
    static STAGE: RefCell<Option<Rc<Stage>>> = const { RefCell::new(None) };
}

/// Does something with the map of this page, if it is there.
pub fn with<T>(then: impl FnOnce(&Rc<Stage>) -> T) -> Option<T> {
    let stage = STAGE.with_borrow(Clone::clone);
    stage.map(|stage| then(&stage))
}

/// What is picked by a click: a light, or the ground.
pub type Picked = Box<dyn Fn(Option<String>)>;

pub struct Stage {
    host: HtmlElement,
    board: Board,
    ground: Sheet,
    lights: Sheet,
    basemap: Rc<Basemap>,
    fleet: StoredValue<Fleet>,
    colours: RefCell<Colours>,
    sprites: RefCell<Option<Sprites>>,
    /// The grid, and the count of place changes it was made from.
    grid: RefCell<(u32, Grid)>,
    donuts: RefCell<Vec<Cluster>>,
    selected: RefCell<Option<String>>,
    emphasis: Cell<Emphasis>,
    picked: Picked,
    zooming: Cell<bool>,
    scheduled: Cell<bool>,
    ground_old: Cell<bool>,
    lights_old: Cell<bool>,
}

impl Stage {
    /// Puts the map on `host`. `None` when the browser lacks what it needs.
    pub fn raise(host: &HtmlElement, map: &MapView, fleet: StoredValue<Fleet>, picked: Picked) -> Option<Rc<Self>> {
        let board = Board::new(host, map.bounds)?;
        if let Some(url) = &map.tile_url {
            board.tiles(url);
        }
        let origin = map
            .bounds
            .map_or((0.5, 0.5), |[south, west, north, east]| world((south + north) / 2.0, (west + east) / 2.0));
        let stage = Rc::new(Self {
            host: host.clone(),
            ground: Sheet::new(&board.pane("ground"))?,
            lights: Sheet::new(&board.pane("lights"))?,
            board,
            basemap: Rc::new(Basemap::new(origin)),
            fleet,
            colours: RefCell::new(Colours::read(host)),
            sprites: RefCell::default(),
            grid: RefCell::default(),
            donuts: RefCell::default(),
            selected: RefCell::default(),
            emphasis: Cell::default(),
            picked,
            zooming: Cell::new(false),
            scheduled: Cell::new(false),
            ground_old: Cell::new(false),
            lights_old: Cell::new(false),
        });
        stage.listen();
        stage.fetch_basemap(map.geojson_layers.clone());
        stage.redraw(true);
        STAGE.set(Some(stage.clone()));
        Some(stage)
    }

    /// Takes the map down.
    pub fn strike() {
        if let Some(stage) = STAGE.take() {
            stage.board.remove();
        }
    }

    fn listen(self: &Rc<Self>) {
        let on = |event: &str, then: fn(&Rc<Self>)| {
            let stage = Rc::downgrade(self);
            self.board.on(event, move || _ = stage.upgrade().map(|stage| then(&stage)));
        };
        on("zoomstart", |stage| stage.zooming.set(true));
        on("zoomend", |stage| stage.zooming.set(false));
        on("moveend", |stage| stage.redraw(true));
        on("move", |stage| {
            if !stage.zooming.get() && !stage.lights.covers(&stage.board.position().camera) {
                stage.redraw(true);
            }
        });
        on("mouseout", |stage| stage.hover(None));
        let stage = Rc::downgrade(self);
        self.board.on_zooming(move |zoom, origin| {
            if let Some(stage) = stage.upgrade() {
                stage.ground.stretch(zoom, origin);
                stage.lights.stretch(zoom, origin);
            }
        });
        let stage = Rc::downgrade(self);
        self.board.on_pointer("click", move |x, y| _ = stage.upgrade().map(|stage| stage.click(x, y)));
        let stage = Rc::downgrade(self);
        self.board.on_pointer("mousemove", move |x, y| _ = stage.upgrade().map(|stage| stage.hover(Some((x, y)))));
    }

    fn fetch_basemap(self: &Rc<Self>, layers: Vec<String>) {
        let (stage, basemap) = (Rc::downgrade(self), self.basemap.clone());
        spawn_local(async move {
            basemap.load(&layers, || _ = stage.upgrade().map(|stage| stage.redraw(true))).await;
        });
    }

    /// The fleet changed.
    pub fn fleet_changed(self: &Rc<Self>) {
        self.fleet.with_value(|fleet| {
            let mut grid = self.grid.borrow_mut();
            if grid.0 != fleet.places {
                *grid = (fleet.places, Grid::new(&fleet.x, &fleet.y));
                drop(grid);
                self.find_selected(fleet);
            }
        });
        self.redraw(false);
    }

    /// Theme or colour set changed.
    pub fn recolour(self: &Rc<Self>) {
        let stage = self.clone();
        // The stylesheet answers for the new theme in the next frame.
        request_animation_frame(move || {
            *stage.colours.borrow_mut() = Colours::read(&stage.host);
            stage.sprites.take();
            stage.redraw(true);
        });
    }

    pub fn select(self: &Rc<Self>, id: Option<String>) {
        *self.selected.borrow_mut() = id;
        self.fleet.with_value(|fleet| self.find_selected(fleet));
        self.redraw(false);
    }

    pub fn show_only(self: &Rc<Self>, only: Option<Indicator>) {
        self.emphasis.set(Emphasis { only, ..self.emphasis.get() });
        self.redraw(false);
    }

    fn find_selected(&self, fleet: &Fleet) {
        let selected = self.selected.borrow().as_deref().and_then(|id| fleet.by_id(id));
        self.emphasis.set(Emphasis { selected, hovered: None, ..self.emphasis.get() });
    }

    /// Moves the map only if the selected light would not be seen beside a drawer `drawer_px` wide, or if it is to be
    /// shown close up.
    pub fn reveal(&self, drawer_px: f64, close_up: bool) {
        let Some(i) = self.emphasis.get().selected else { return };
        let Some(at) = self.fleet.with_value(|f| Some((*f.x.get(i)?, *f.y.get(i)?))) else { return };
        let camera = self.board.position().camera;
        let free = if camera.width - drawer_px < 200.0 { camera.width } else { camera.width - drawer_px };
        let (x, y) = camera.to_screen(at.0, at.1);
        let seen = x > EDGE_PX && x < free - EDGE_PX && y > EDGE_PX && y < camera.height - EDGE_PX;
        let near = camera.zoom >= if close_up { LIGHT_ZOOM } else { CLUSTERS_BELOW_ZOOM };
        if close_up || !seen || !near {
            self.board.bring(at, (free / 2.0, camera.height / 2.0), (!near).then_some(LIGHT_ZOOM));
        }
    }

    /// The ids of the lights on the screen, left of a drawer, in the order of their numbers.
    pub fn on_screen(&self, drawer_px: f64) -> Vec<String> {
        let mut camera = self.board.position().camera;
        camera.width = (camera.width - drawer_px).max(1.0);
        let [x0, y0, x1, y1] = camera.rectangle();
        let emphasis = self.emphasis.get();
        self.fleet.with_value(|fleet| {
            let mut found = Vec::new();
            self.grid.borrow().1.near([x0, y0, x1, y1], |i| {
                let inside = (x0..=x1).contains(&fleet.x[i]) && (y0..=y1).contains(&fleet.y[i]);
                if inside && emphasis.shows(fleet, i) {
                    found.push((fleet.no[i], fleet.id[i].to_string()));
                }
            });
            found.sort_unstable();
            found.into_iter().map(|(_, id)| id).collect()
        })
    }

    pub fn zoom_by(&self, steps: f64) {
        self.board.zoom_by(steps);
    }

    pub fn show(&self, bounds: [f64; 4]) {
        self.board.show(bounds, true);
    }

    fn light_at(&self, x: f64, y: f64) -> Option<usize> {
        let camera = self.board.position().camera;
        let reach = (diameter_px(camera.zoom) / 2.0 + 3.0).max(REACH_PX) / world_px(camera.zoom);
        let emphasis = self.emphasis.get();
        self.fleet.with_value(|fleet| {
            let grid = &self.grid.borrow().1;
            grid.nearest(&fleet.x, &fleet.y, camera.to_world(x, y), reach, |i| emphasis.shows(fleet, i))
        })
    }

    fn donut_at(&self, x: f64, y: f64) -> Option<Cluster> {
        let camera = self.board.position().camera;
        let donuts = self.donuts.borrow();
        let hit = donuts.iter().filter(|c| c.single.is_none()).find(|cluster| {
            let (cx, cy) = camera.to_screen(cluster.x, cluster.y);
            (cx - x).hypot(cy - y) <= radius_px(cluster.count()) + 3.0
        });
        hit.copied()
    }

    fn click(&self, x: f64, y: f64) {
        if let Some(cluster) = self.donut_at(x, y) {
            let [x0, y0, x1, y1] = cluster.bounds;
            let ((north, west), (south, east)) = (place(x0, y0), place(x1, y1));
            return self.board.show([south, west, north, east], true);
        }
        let far = self.board.position().camera.zoom < CLUSTERS_BELOW_ZOOM;
        let light = self.light_at(x, y).filter(|i| !far || self.donuts.borrow().iter().any(|c| c.single == Some(*i)));
        let id = light.and_then(|i| self.fleet.with_value(|fleet| fleet.id.get(i).map(ToString::to_string)));
        (self.picked)(id);
    }

    fn hover(self: &Rc<Self>, at: Option<(f64, f64)>) {
        let far = self.board.position().camera.zoom < CLUSTERS_BELOW_ZOOM;
        let hovered = at.filter(|_| !far).and_then(|(x, y)| self.light_at(x, y));
        let points = hovered.is_some() || at.is_some_and(|(x, y)| far && self.donut_at(x, y).is_some());
        _ = self.host.style().set_property("cursor", if points { "pointer" } else { "" });
        if self.emphasis.get().hovered != hovered {
            self.emphasis.set(Emphasis { hovered, ..self.emphasis.get() });
            self.redraw(false);
        }
    }

    /// Asks for a drawing in the next frame: of the lights, and of the ground too if `all`.
    fn redraw(self: &Rc<Self>, all: bool) {
        self.lights_old.set(true);
        self.ground_old.set(self.ground_old.get() || all);
        if self.scheduled.replace(true) {
            return;
        }
        let stage = Rc::downgrade(self);
        request_animation_frame(move || _ = stage.upgrade().map(|stage| stage.draw()));
    }

    fn draw(self: &Rc<Self>) {
        self.scheduled.set(false);
        if self.zooming.get() {
            return; // `moveend` follows and asks again
        }
        let (position, ratio, colours) = (self.board.position(), pixel_ratio(), self.colours.borrow());
        if self.ground_old.replace(false) {
            let camera = self.ground.begin(&position);
            self.basemap.draw(&self.ground.context, &camera, ratio, &colours);
        }
        if self.lights_old.replace(false) {
            let camera = self.lights.begin(&position);
            let pen = Pen { context: &self.lights.context, camera, ratio, colours: &colours };
            let donuts = self.fleet.with_value(|fleet| {
                let grid = self.grid.borrow();
                // Between a new snapshot and its grid there is nothing safe to draw.
                if grid.0 != fleet.places {
                    return Vec::new();
                }
                marks::draw(&pen, fleet, &grid.1, &self.emphasis.get(), &mut self.sprites.borrow_mut())
            });
            *self.donuts.borrow_mut() = donuts;
        }
    }
}
