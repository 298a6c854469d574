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
use super::cluster::Cluster;
use super::grid::Grid;
use super::leaflet::Board;
use super::marks::{self, Emphasis, Pen};
use super::palette::Colours;
use super::projection::{around, place, world};
use super::sheet::{Sheet, pixel_ratio};
use super::sprites::Sprites;
use crate::live::Fleet;

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
    pub(super) host: HtmlElement,
    pub(super) board: Board,
    ground: Sheet,
    lights: Sheet,
    basemap: Rc<Basemap>,
    pub(super) fleet: StoredValue<Fleet>,
    colours: RefCell<Colours>,
    sprites: RefCell<Option<Sprites>>,
    /// The grid, and the count of place changes it was made from.
    pub(super) grid: RefCell<(u32, Grid)>,
    pub(super) donuts: RefCell<Vec<Cluster>>,
    selected: RefCell<Option<String>>,
    pub(super) emphasis: Cell<Emphasis>,
    pub(super) picked: Picked,
    /// No light yet.
    empty: Cell<bool>,
    zooming: Cell<bool>,
    scheduled: Cell<bool>,
    ground_old: Cell<bool>,
    lights_old: Cell<bool>,
}

impl Stage {
    /// Puts the map on `host`. `None` when the browser lacks what it needs.
    pub fn raise(host: &HtmlElement, map: &MapView, fleet: StoredValue<Fleet>, picked: Picked) -> Option<Rc<Self>> {
        let board = Board::new(host, map.bounds)?;
        let origin = map.bounds.map(|[south, west, north, east]| world((south + north) / 2.0, (west + east) / 2.0));
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
            empty: Cell::new(map.bounds.is_none()),
            picked,
            zooming: Cell::new(false),
            scheduled: Cell::new(false),
            ground_old: Cell::new(false),
            lights_old: Cell::new(false),
        });
        stage.listen();
        stage.lay_ground(map);
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

    /// Tiles if the city has any; its own GeoJSON if it has none, or as soon as a tile fails.
    fn lay_ground(self: &Rc<Self>, map: &MapView) {
        let layers = map.geojson_layers.clone();
        let Some(url) = &map.tile_url else { return self.fetch_basemap(layers) };
        let (stage, layers) = (Rc::downgrade(self), Cell::new(Some(layers)));
        self.board.tiles(url, move || {
            if let (Some(stage), Some(layers)) = (stage.upgrade(), layers.take()) {
                stage.fetch_basemap(layers);
            }
        });
    }

    fn fetch_basemap(self: &Rc<Self>, layers: Vec<String>) {
        let (stage, basemap) = (Rc::downgrade(self), self.basemap.clone());
        spawn_local(async move {
            basemap.load(&layers, || _ = stage.upgrade().map(|stage| stage.redraw(true))).await;
            if let Some(stage) = stage.upgrade().filter(|stage| stage.empty.get()) {
                stage.show_city(false);
            }
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
        // The first light of an empty city: nobody has chosen a view yet that could be lost.
        if self.empty.get() && self.fleet.with_value(|fleet| !fleet.is_empty()) {
            self.empty.set(false);
            self.show_city(true);
        }
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

    pub fn zoom_by(&self, steps: f64) {
        self.board.zoom_by(steps);
    }

    /// Shows all lights, or all ground where there are none yet.
    pub fn show_city(&self, animate: bool) {
        let lights = self.fleet.with_value(|fleet| around(fleet.x.iter().copied().zip(fleet.y.iter().copied())));
        if let Some([x0, y0, x1, y1]) = lights.or_else(|| self.basemap.extent()) {
            let ((north, west), (south, east)) = (place(x0, y0), place(x1, y1));
            self.board.show([south, west, north, east], animate);
        }
    }

    /// Asks for a drawing in the next frame: of the lights, and of the ground too if `all`.
    pub(super) fn redraw(self: &Rc<Self>, all: bool) {
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
