//! Household goods.

use super::voices::{CLEANING, FURNITURE, KITCHEN, LIGHTING, PAPER, TEXTILES, TOYS};
use super::{Category, Range, Trade, Voice};

type Sizes = &'static [(&'static str, u32)];

const CLOTHES: Sizes =
    &[("M", 100), ("L", 100), ("S", 100), ("XL", 105), ("XS", 95), ("XXL", 110), ("3XL", 115)];
const SIZES: Sizes =
    &[("L", 120), ("M", 100), ("XL", 150), ("S", 80), ("XXL", 190), ("2-Pack", 185), ("Set of 4", 340)];
const VOLUMES: Sizes =
    &[("1L", 100), ("500 ml", 65), ("2L", 170), ("750 ml", 85), ("5L", 380), ("3L", 240), ("250 ml", 40)];
const LENGTHS: Sizes = &[
    ("80 cm", 80),
    ("100 cm", 100),
    ("120 cm", 125),
    ("160 cm", 170),
    ("200 cm", 220),
    ("2m", 220),
    ("60 cm", 65),
];
const WATTS: Sizes = &[
    ("9W", 90),
    ("12W", 110),
    ("E27", 100),
    ("E14", 95),
    ("2-Pack", 180),
    ("40 cm", 130),
    ("5m", 160),
    ("IP65", 150),
];
const PAPERS: Sizes =
    &[("A4", 100), ("A5", 75), ("A6", 55), ("A3", 160), ("Pack of 10", 600), ("B5", 85), ("Set of 3", 250)];

const MATERIALS: &[&str] = &[
    "Steel",
    "Wooden",
    "Stainless Steel",
    "Bamboo",
    "Ceramic",
    "Glass",
    "Cast Iron",
    "Oak",
    "Copper",
    "Beech",
    "Silicone",
    "Enamel",
    "Walnut",
    "Aluminium",
    "Acacia",
    "Marble",
    "Stoneware",
    "Slate",
    "Brass",
    "Cork",
    "Porcelain",
    "Soapstone",
];
const FABRICS: &[&str] = &[
    "Cotton",
    "Linen",
    "Wool",
    "Organic Cotton",
    "Microfibre",
    "Bamboo",
    "Fleece",
    "Flannel",
    "Jersey",
    "Velvet",
    "Satin",
    "Felt",
    "Merino",
    "Hemp",
    "Alpaca",
    "Jacquard",
    "Percale",
    "Silk",
    "Cashmere",
    "Loden",
];
const COLOURS: &[&str] = &[
    "White",
    "Black",
    "Grey",
    "Blue",
    "Green",
    "Natural",
    "Red",
    "Beige",
    "Navy",
    "Brown",
    "Yellow",
    "Anthracite",
    "Rose",
    "Turquoise",
    "Orange",
    "Mint",
    "Cream",
    "Burgundy",
    "Teal",
    "Ochre",
    "Lavender",
    "Charcoal",
    "Terracotta",
    "Indigo",
];
const SCENTS: &[&str] = &[
    "Lemon",
    "Lavender",
    "Fragrance-Free",
    "Orange",
    "Pine",
    "Mint",
    "Eucalyptus",
    "Rose",
    "Aloe",
    "Citrus",
    "Cedar",
    "Verbena",
    "Tea Tree",
    "Patchouli",
    "Bergamot",
    "Vetiver",
];

const fn workshop(
    voice: &'static Voice,
    kinds: &'static [(&'static str, u32)],
    variants: &'static [&'static str],
    sizes: Sizes,
) -> Range {
    Range { kinds, variants, sizes, voice, trade: Trade::Workshop }
}

#[rustfmt::skip]
pub(super) static CATEGORIES: &[Category] = &[
    Category { slug: "kitchen", share: 640, ranges: &[
        workshop(&KITCHEN, &[("Frying Pan", 3499), ("Saucepan", 2999), ("Chef's Knife", 3999), ("Cutting Board", 1999), ("Mixing Bowl", 1499),
            ("Teapot", 2499), ("Baking Tray", 1299), ("Colander", 1599), ("Coffee Mug", 899), ("Wok", 3299), ("Ladle", 799),
            ("Salad Spinner", 1899), ("Pepper Mill", 2299), ("Bread Box", 3499), ("Rolling Pin", 1199), ("Grater", 999),
            ("Whisk", 699), ("Garlic Press", 1099), ("Cake Tin", 1399), ("Tea Towel Rail", 1599), ("Apple Corer", 599),
            ("Potato Masher", 899), ("Cheese Board", 2199), ("Egg Timer", 699), ("Mortar", 2799), ("Fondue Pot", 5999),
            ("Mandoline", 3899), ("Raclette Grill", 8999), ("Pasta Machine", 6499)], MATERIALS, SIZES),
        workshop(&KITCHEN, &[("Storage Jar", 799), ("Water Bottle", 1499), ("Lunch Box", 1299), ("Jug", 1699), ("Vacuum Flask", 2499),
            ("Oil Dispenser", 1199), ("Butter Dish", 1399), ("Measuring Cup", 699), ("Kettle", 3999), ("Stock Pot", 5499)],
            MATERIALS, VOLUMES),
    ]},
    Category { slug: "cleaning", share: 390, ranges: &[
        workshop(&CLEANING, &[("Washing-Up Liquid", 299), ("Laundry Detergent", 899), ("All-Purpose Cleaner", 399), ("Hand Soap", 349),
            ("Glass Cleaner", 329), ("Floor Soap", 499), ("Descaler", 449), ("Fabric Softener", 379), ("Oven Cleaner", 599),
            ("Wood Polish", 799), ("Stain Remover", 549), ("Bathroom Cleaner", 379)], SCENTS, VOLUMES),
        workshop(&CLEANING, &[("Broom", 1499), ("Mop", 1999), ("Bucket", 899), ("Dustpan", 699), ("Scrubbing Brush", 499), ("Duster", 599),
            ("Laundry Basket", 2499), ("Dish Brush", 399), ("Sponge", 199), ("Squeegee", 999), ("Drying Rack", 3499),
            ("Clothes Pegs", 499)], COLOURS, SIZES),
    ]},
    Category { slug: "furniture", share: 310, ranges: &[
        workshop(&FURNITURE, &[("Table", 24900), ("Chair", 8900), ("Shelf", 5900), ("Bench", 14900), ("Stool", 4900), ("Sideboard", 34900),
            ("Bookcase", 17900), ("Coffee Table", 12900), ("Wardrobe", 44900), ("Desk", 22900), ("Bed Frame", 38900),
            ("Bedside Table", 7900), ("Armchair", 29900), ("Coat Rack", 3900), ("Sofa", 79900), ("Chest of Drawers", 27900),
            ("Wine Rack", 4500), ("Dresser", 52900), ("Rocking Chair", 19900)], MATERIALS, LENGTHS),
    ]},
    Category { slug: "textiles", share: 240, ranges: &[
        workshop(&TEXTILES, &[("Apron", 1999), ("Sweater", 5999), ("Socks", 999), ("T-Shirt", 1999), ("Gloves", 1499), ("Work Jacket", 8999),
            ("Trousers", 4999), ("Cardigan", 6999), ("Pyjamas", 3999), ("Dressing Gown", 5499), ("Waistcoat", 5999),
            ("Dungarees", 6999), ("Beanie", 1799)], FABRICS, CLOTHES),
        workshop(&TEXTILES, &[("Tea Towel", 599), ("Bath Towel", 1799), ("Blanket", 3999), ("Cushion", 1999), ("Tablecloth", 2999),
            ("Bed Sheet", 2799), ("Pillowcase", 1299), ("Curtain", 3999), ("Rug", 8999), ("Duvet Cover", 4999), ("Oven Glove", 1099),
            ("Napkins", 1299), ("Quilt", 9999), ("Door Mat", 1999)], FABRICS, LENGTHS),
    ]},
    Category { slug: "toys", share: 130, ranges: &[
        workshop(&TOYS, &[("Building Blocks", 1999), ("Puzzle", 1299), ("Doll", 1999), ("Toy Tractor", 2499), ("Board Game", 2999),
            ("Soft Bunny", 1499), ("Marble Run", 4999), ("Play Ball", 999), ("Train Set", 5999), ("Kite", 1799), ("Farm Animals", 1699),
            ("Spinning Top", 699), ("Rocking Horse", 9999), ("Juggling Ball", 799), ("Dominoes", 1199), ("Puppet Theatre", 7999)],
            COLOURS, SIZES),
    ]},
    Category { slug: "lighting", share: 90, ranges: &[
        workshop(&LIGHTING, &[("LED Bulb", 699), ("Table Lamp", 3999), ("Ceiling Light", 7999), ("Floor Lamp", 9999), ("Fairy Lights", 1499),
            ("Lantern", 2499), ("Wall Light", 4999), ("Reading Lamp", 3499), ("Pendant Lamp", 8999), ("Solar Light", 1999),
            ("Candle Holder", 1299), ("Chandelier", 24900)], COLOURS, WATTS),
    ]},
    Category { slug: "stationery", share: 60, ranges: &[
        workshop(&PAPER, &[("Notebook", 999), ("Wall Calendar", 1499), ("Writing Pad", 599), ("Recipe Book", 1999), ("Greeting Card", 349),
            ("Photo Album", 2499), ("Garden Diary", 1799), ("Gift Wrap", 499), ("Envelopes", 399), ("Fountain Pen", 4999),
            ("Sketchbook", 1599)], COLOURS, PAPERS),
    ]},
];
