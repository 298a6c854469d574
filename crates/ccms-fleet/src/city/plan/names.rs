//! What a planned city and its parts are called.

/// The words of a city's plan, and where it lies.
#[derive(Debug)]
pub struct Style {
    pub city: &'static str,
    pub latitude: f64,
    pub longitude: f64,
    rings: &'static [&'static str],
    further_ring: &'static str,
    roads: &'static [&'static str],
    quarters: &'static [&'static str],
    lane: &'static str,
}

/// A city that is nowhere: a plain in the middle of Europe.
pub static CITY: Style = Style {
    city: "Riverton",
    latitude: 52.3,
    longitude: 11.4,
    rings: &["Market Ring", "Wall Street", "Station Ring", "Park Ring", "Harbour Ring", "Forest Ring", "Outer Ring"],
    further_ring: "Ring",
    roads: &[
        "Northern Avenue",
        "Mill Road",
        "Castle Avenue",
        "Chapel Road",
        "Eastern Avenue",
        "Brewery Road",
        "Harbour Avenue",
        "Orchard Road",
        "Southern Avenue",
        "Quarry Road",
        "Bridge Avenue",
        "Abbey Road",
        "Western Avenue",
        "Foundry Road",
        "Station Avenue",
        "Heath Road",
    ],
    quarters: &[
        "Old Town",
        "Northgate",
        "Castlefield",
        "Eastside",
        "Harbour",
        "Southbank",
        "Bridgefoot",
        "Westend",
        "Stationfield",
        "Millbrook",
        "Chapelhill",
        "Brewers",
        "Orchard",
        "Quarry",
        "Abbey",
        "Foundry",
        "Heath",
        "Lindenhof",
        "Birkenau",
        "Meadows",
        "Gardens",
        "Hilltop",
        "Weavers",
        "Lakeside",
    ],
    lane: "Street",
};

/// Around the coordinates of the device document.
pub static DELHI: Style = Style {
    city: "Delhi",
    latitude: 28.6139,
    longitude: 77.2090,
    rings: &["Inner Circle", "Outer Circle", "Ring Road", "Outer Ring Road", "Peripheral Road"],
    further_ring: "Circle",
    roads: &[
        "Janpath",
        "Kasturba Marg",
        "Ashoka Road",
        "Vidya Marg",
        "Shanti Path",
        "Lodhi Road",
        "Mandir Marg",
        "Station Marg",
        "Tolstoy Marg",
        "Aurobindo Marg",
        "Bagh Road",
        "Najafgarh Road",
        "Mathura Road",
        "Rohtak Road",
        "Grand Trunk Road",
        "Mehrauli Road",
    ],
    quarters: &[
        "Gole Market",
        "Lajpat Nagar",
        "Green Park",
        "Defence Colony",
        "Karol Bagh",
        "Sunder Nagar",
        "Vasant Vihar",
        "Saket",
        "Rajendra Nagar",
        "Patel Nagar",
        "Jor Bagh",
        "Model Town",
        "Civil Lines",
        "Hauz Khas",
        "Malviya Nagar",
        "Nizamuddin",
        "Greater Kailash",
        "Dwarka",
        "Rohini",
        "Pitampura",
        "Janakpuri",
        "Mayur Vihar",
        "Shahdara",
        "Narela",
    ],
    lane: "Lane",
};

impl Style {
    pub fn ring(&self, n: usize) -> String {
        self.rings.get(n).map_or_else(|| format!("{} {}", self.further_ring, n + 1), |name| (*name).to_owned())
    }

    pub fn road(&self, n: usize) -> String {
        numbered(self.roads, n)
    }

    pub fn quarter(&self, n: usize) -> String {
        numbered(self.quarters, n)
    }

    /// The `n`th lane of a quarter, from 1.
    pub fn lane(&self, quarter: &str, n: usize) -> String {
        format!("{quarter} {} {n}", self.lane)
    }
}

/// A name of a list; when all are taken, again with a number.
fn numbered(names: &[&str], n: usize) -> String {
    match n / names.len() {
        0 => names[n].to_owned(),
        round => format!("{} {}", names[n % names.len()], round + 1),
    }
}
