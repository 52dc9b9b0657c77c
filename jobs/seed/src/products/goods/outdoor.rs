//! Garden, workshop, animals and sports.

use super::voices::{BALLS, FEED, GARDEN, PETS, SEEDS, SOIL, SPORT, TOOLS};
use super::{Category, Range, Trade, Voice};

type Sizes = &'static [(&'static str, u32)];

const METRES: Sizes = &[
    ("5m", 60),
    ("10m", 100),
    ("20m", 180),
    ("15m", 140),
    ("XL", 200),
    ("25m", 215),
    ("50m", 390),
    ("3m", 40),
];
const SIZES: Sizes =
    &[("L", 115), ("M", 100), ("XL", 140), ("S", 85), ("Set of 3", 260), ("XXL", 175), ("2-Pack", 185)];
const BALL_SIZES: Sizes = &[
    ("Size 5", 100),
    ("Size 4", 90),
    ("Size 3", 80),
    ("Size 7", 115),
    ("3-Pack", 260),
    ("Size 1", 55),
    ("XL", 130),
];
const WEIGHTS: Sizes =
    &[("5kg", 100), ("10kg", 190), ("2kg", 48), ("15kg", 270), ("20kg", 350), ("1kg", 27), ("3kg", 66)];
const MACHINES: Sizes = &[
    ("X1", 90),
    ("X2", 110),
    ("S", 80),
    ("Pro", 150),
    ("M5", 120),
    ("GT", 170),
    ("28 inch", 100),
    ("V8", 140),
];
const TOOL_SIZES: Sizes = &[
    ("18V", 120),
    ("M8", 90),
    ("M10", 100),
    ("12 mm", 100),
    ("8 mm", 80),
    ("20 cm", 110),
    ("Set of 6", 280),
    ("36V", 190),
];
const PACKETS: Sizes = &[
    ("5 g", 100),
    ("1 g", 45),
    ("50 seeds", 80),
    ("10 g", 170),
    ("100 seeds", 130),
    ("1kg", 2400),
    ("25 g", 330),
];

const MATERIALS: &[&str] = &[
    "Steel",
    "Rubber",
    "Wooden",
    "Green",
    "Aluminium",
    "Ash",
    "Black",
    "Plastic",
    "Copper",
    "Willow",
    "Zinc",
    "Canvas",
    "Oak",
    "Terracotta",
    "Jute",
    "Hemp",
    "Carbon",
    "Bamboo",
    "Larch",
    "Wrought Iron",
    "Coir",
    "Basalt",
];
const COLOURS: &[&str] = &[
    "Red",
    "Blue",
    "Black",
    "White",
    "Green",
    "Orange",
    "Yellow",
    "Neon",
    "Grey",
    "Pink",
    "Leather",
    "Navy",
    "Purple",
    "Silver",
    "Striped",
    "Turquoise",
    "Retro",
    "Camouflage",
];
const ANIMALS: &[&str] = &[
    "Chicken",
    "Beef",
    "Salmon",
    "Lamb",
    "Turkey",
    "Duck",
    "Rabbit",
    "Vegetable",
    "Venison",
    "Trout",
    "Insect",
    "Goat",
    "Ostrich",
];
const PLANTS: &[&str] = &[
    "Tomato",
    "Lettuce",
    "Carrot",
    "Sunflower",
    "Basil",
    "Radish",
    "Pumpkin",
    "Cucumber",
    "Pepper",
    "Bean",
    "Pea",
    "Marigold",
    "Lavender",
    "Spinach",
    "Beetroot",
    "Cornflower",
    "Jalapeño",
    "Kale",
    "Chive",
    "Poppy",
    "Zinnia",
    "Fennel",
    "Nasturtium",
    "Cosmos",
    "Borage",
    "Hollyhock",
    "Lovage",
    "Snapdragon",
    "Physalis",
    "Rübstiel",
    "Tagetes",
    "Nigella",
];

const fn outdoor(
    voice: &'static Voice,
    kinds: &'static [(&'static str, u32)],
    variants: &'static [&'static str],
    sizes: Sizes,
) -> Range {
    Range { kinds, variants, sizes, voice, trade: Trade::Workshop }
}

#[rustfmt::skip]
pub(super) static CATEGORIES: &[Category] = &[
    Category { slug: "garden", share: 460, ranges: &[
        outdoor(&GARDEN, &[("Garden Hose", 2999), ("Extension Cable", 2499), ("Washing Line", 999), ("Plant Twine", 499), ("Bird Netting", 1299),
            ("Lawn Edging", 1999), ("Drip Hose", 2199), ("Weed Fabric", 1799), ("Fence Wire", 2899), ("Shade Cloth", 3299)],
            MATERIALS, METRES),
        outdoor(&GARDEN, &[("Spade", 3499), ("Watering Can", 1999), ("Rake", 2499), ("Flower Pot", 999), ("Secateurs", 2499), ("Wheelbarrow", 8999),
            ("Garden Fork", 3299), ("Plant Pot", 1299), ("Hand Trowel", 999), ("Raised Bed", 7999), ("Compost Bin", 5999),
            ("Bird Feeder", 1799), ("Gardening Gloves", 899), ("Hedge Shears", 3999), ("Rain Barrel", 6999), ("Cold Frame", 8999),
            ("Seed Tray", 599), ("Bird Bath", 3999), ("Dibber", 799), ("Leaf Grabber", 1499), ("Sundial", 5999)], MATERIALS, SIZES),
        outdoor(&SOIL, &[("Potting Soil", 999), ("Fertiliser", 1499), ("Bark Mulch", 1099), ("Lawn Seed", 2499), ("Bone Meal", 1299),
            ("Sheep Wool Pellets", 1899), ("Gravel", 899)], &["Organic", "Peat-Free", "Universal", "Tomato", "Rose", "Lawn",
            "Herb", "Citrus", "Rhododendron"], WEIGHTS),
    ]},
    Category { slug: "sports", share: 400, ranges: &[
        outdoor(&BALLS, &[("Football", 2499), ("Basketball", 2499), ("Tennis Ball", 699), ("Volleyball", 2299), ("Exercise Ball", 1999),
            ("Rugby Ball", 2299), ("Handball", 1999), ("Medicine Ball", 3499), ("Golf Ball", 499), ("Cricket Ball", 1599),
            ("Beach Ball", 899), ("Ball Pump", 1299), ("Bowling Ball", 7999), ("Massage Ball", 999), ("Water Polo Ball", 2699),
            ("Boule Set", 3999), ("Fistball", 4299)], COLOURS, BALL_SIZES),
        outdoor(&SPORT, &[("Yoga Mat", 2999), ("Skipping Rope", 999), ("Tennis Racket", 8999), ("Badminton Set", 3999), ("Cycling Gloves", 1999),
            ("Running Belt", 1799), ("Hiking Poles", 4999), ("Swim Goggles", 1499), ("Shin Guards", 1499), ("Goal Net", 5999),
            ("Backpack", 5999), ("Camping Tent", 14999), ("Sleeping Bag", 8999), ("Ski Gloves", 3999), ("Climbing Harness", 6999)],
            COLOURS, SIZES),
        outdoor(&SPORT, &[("Dumbbell", 2499), ("Kettlebell", 2999), ("Weight Plate", 1999), ("Sandbag", 3499), ("Weighted Vest", 5999)], COLOURS, WEIGHTS),
        outdoor(&SPORT, &[("Mountain Bike", 69900), ("Rowing Machine", 49900), ("Exercise Bike", 34900), ("Treadmill", 79900),
            ("Table Tennis Table", 39900), ("Kayak", 59900), ("Trampoline", 24900), ("Weight Bench", 15900), ("Scooter", 12900),
            ("Basketball Hoop", 17900), ("Surfboard", 42900)], COLOURS, MACHINES),
    ]},
    Category { slug: "tools", share: 260, ranges: &[
        outdoor(&TOOLS, &[("Hammer", 1999), ("Screwdriver", 999), ("Cordless Drill", 9999), ("Hand Saw", 2299), ("Pliers", 1799), ("Spanner", 1299),
            ("Tape Measure", 999), ("Chisel", 1699), ("Drill Bit", 799), ("Spirit Level", 2499), ("Axe", 4499), ("Tool Box", 3999),
            ("Sander", 7999), ("Ladder", 8999), ("Workbench", 14999), ("Clamp", 1499), ("Jigsaw", 8999), ("Angle Grinder", 7499),
            ("Chainsaw", 24900), ("Splitting Maul", 5999), ("Scythe", 7999), ("Pruning Saw", 2999)], MATERIALS, TOOL_SIZES),
    ]},
    Category { slug: "pets", share: 220, ranges: &[
        outdoor(&FEED, &[("Dog Food", 1999), ("Cat Food", 1499), ("Chicken Feed", 1299), ("Horse Treats", 999), ("Rabbit Hay", 799),
            ("Bird Seed", 999), ("Cat Litter", 1199), ("Hoof Balm", 1699), ("Fish Pellets", 1399), ("Goat Mineral", 2199)],
            ANIMALS, WEIGHTS),
        outdoor(&PETS, &[("Dog Lead", 1499), ("Dog Bed", 3999), ("Cat Tree", 5999), ("Chew Toy", 799), ("Feeding Bowl", 899), ("Dog Ball", 599),
            ("Nesting Box", 2499), ("Rabbit Hutch", 12999), ("Aquarium", 9999), ("Saddle Pad", 4999), ("Egg Incubator", 11999)],
            COLOURS, SIZES),
    ]},
    Category { slug: "seeds", share: 170, ranges: &[
        outdoor(&SEEDS, &[("Seeds", 299), ("Seed Mix", 449), ("Seed Tape", 399), ("Seedlings", 599), ("Bulbs", 499), ("Starter Plant", 699)],
            PLANTS, PACKETS),
    ]},
    Category { slug: "beekeeping", share: 20, ranges: &[
        outdoor(&GARDEN, &[("Bee Hive", 14999), ("Smoker", 3999), ("Honey Extractor", 29900), ("Bee Suit", 7999), ("Hive Tool", 1499),
            ("Wax Foundation", 2499), ("Queen Cage", 399), ("Honey Sieve", 2999)], MATERIALS, SIZES),
    ]},
];
