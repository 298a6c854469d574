//! Very many lights at once: small squares written straight into an image, about ten times faster than drawing paths. Lit ones
//! are larger and brighter. The writing is pure; the image is put on the sheet at the end.
use ccms_core::reading::PowerState;
use wasm_bindgen::Clamped;
use web_sys::ImageData;

use super::cluster::slot;
use super::marks::Pen;
use super::palette::rgb;
use crate::live::Fleet;

/// An image of opaque pixels, four bytes each.
pub struct Image {
    pub width: usize,
    pub height: usize,
    pub bytes: Vec<u8>,
}

impl Image {
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, bytes: vec![0; width * height * 4] }
    }

    /// Fills the part of a square that is inside the image.
    pub fn square(&mut self, left: i64, top: i64, side: i64, [r, g, b]: [u8; 3]) {
        let columns = left.max(0)..(left + side).min(self.width as i64);
        for y in top.max(0)..(top + side).min(self.height as i64) {
            for x in columns.clone() {
                let at = (y as usize * self.width + x as usize) * 4;
                self.bytes[at..at + 4].copy_from_slice(&[r, g, b, 255]);
            }
        }
    }
}

/// `lights` in the order they are to be drawn.
pub fn draw(pen: &Pen<'_>, fleet: &Fleet, lights: &[usize]) {
    let ratio = pen.ratio;
    let mut image = Image::new((pen.camera.width * ratio) as usize, (pen.camera.height * ratio) as usize);
    let colours = pen.colours.indicator.each_ref().map(|c| rgb(c));
    let unlit = colours.map(|c| c.map(|channel| (u16::from(channel) * 5 / 8) as u8));
    for i in lights.iter().copied() {
        let lit = fleet.state[i].power() == Some(PowerState::On);
        let (x, y) = pen.camera.to_screen(fleet.x[i], fleet.y[i]);
        let side = ((if lit { 4.0 } else { 3.0 }) * ratio) as i64;
        let (left, top) = ((x * ratio) as i64 - side / 2, (y * ratio) as i64 - side / 2);
        let kind = slot(fleet.state[i].indicator());
        image.square(left, top, side, if lit { colours[kind] } else { unlit[kind] });
    }
    let Image { width, height, bytes } = image;
    if let Ok(data) = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&bytes), width as u32, height as u32) {
        _ = pen.context.put_image_data(&data, 0.0, 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::Image;

    #[test]
    fn a_square_at_the_edge_stays_inside() {
        let mut image = Image::new(4, 4);
        image.square(-1, -1, 3, [1, 2, 3]);
        image.square(3, 3, 9, [4, 5, 6]);
        image.square(-9, 50, 3, [7, 7, 7]);
        assert_eq!(image.bytes[..4], [1, 2, 3, 255]);
        assert_eq!(image.bytes[8..12], [0, 0, 0, 0]);
        assert_eq!(image.bytes[60..], [4, 5, 6, 255]);
    }
}
