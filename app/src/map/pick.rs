//! What is under the pointer, and what a click on it means; which lights are on the screen; bringing one into view. Browser only.
use std::rc::Rc;

use leptos::prelude::*;

use super::cluster::{Cluster, radius_px};
use super::marks::{CLUSTERS_BELOW_ZOOM, Emphasis};
use super::projection::{place, world_px};
use super::sprites::diameter_px;
use super::stage::Stage;

/// The nearest zoom at which one light is shown by itself.
const LIGHT_ZOOM: f64 = 17.0;
/// A pointer this close to a mark means it.
const REACH_PX: f64 = 12.0;
/// A selected light keeps this distance from the edges.
const EDGE_PX: f64 = 48.0;

impl Stage {
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
        let hit = donuts.iter().rev().filter(|c| c.single.is_none()).find(|cluster| {
            let (cx, cy) = camera.to_screen(cluster.x, cluster.y);
            (cx - x).hypot(cy - y) <= radius_px(cluster.count()) + 3.0
        });
        hit.copied()
    }

    pub(super) fn click(&self, x: f64, y: f64) {
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

    pub(super) fn hover(self: &Rc<Self>, at: Option<(f64, f64)>) {
        let far = self.board.position().camera.zoom < CLUSTERS_BELOW_ZOOM;
        let hovered = at.filter(|_| !far).and_then(|(x, y)| self.light_at(x, y));
        let points = hovered.is_some() || at.is_some_and(|(x, y)| far && self.donut_at(x, y).is_some());
        _ = self.host.style().set_property("cursor", if points { "pointer" } else { "" });
        if self.emphasis.get().hovered != hovered {
            self.emphasis.set(Emphasis { hovered, ..self.emphasis.get() });
            self.redraw(false);
        }
    }
}
