use super::*;

const MANIFEST: &str = include_str!("../../../manifest.toml");

/// A small manifest in which tests replace one thing.
const SMALL: &str = r#"abi = 1
id = "org.example"
name = "Example"
version = "1.2.3"
library = "example"

[[filter]]
id = "blur"
label = "Blur"
menu = "Filters"
help = "Blurs."
style_min = 0
style_max = 1

[[filter.preset]]
id = "soft"
label = "Soft"
help = ""
values = { radius = 4, passes = 2 }

[[filter.parameter]]
id = "preset"
label = "Preset"
help = ""
kind = "preset"
default = "soft"

[[filter.parameter]]
id = "radius"
label = "Radius"
help = ""
kind = "float"
default = 2
hard = [0, 10]
soft = [1, 5]
unit = "px"

[[filter.parameter]]
id = "passes"
label = "Passes"
help = ""
kind = "integer"
default = 1
hard = [1, 9]

[[filter.parameter]]
id = "edge"
label = "Edge"
help = ""
kind = "choice"
default = "wrap"
choices = [{ id = "wrap", label = "Wrap" }, { id = "clamp", label = "Clamp" }]
"#;

fn error_of(from: &str, to: &str) -> ManifestError {
    assert_eq!(SMALL.matches(from).count(), 1, "{from} must be there once");
    Manifest::parse(&SMALL.replace(from, to)).expect_err(to)
}

#[test]
fn the_plugins_own_manifest_is_sound() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    assert_eq!((manifest.abi, manifest.library.as_str()), (1, "pentimento_plugin"));
    let filter = manifest.filter("style-transfer").unwrap();
    let strength = filter.parameter("style_strength").unwrap();
    assert_eq!(strength.default, Value::Float(1.0));
    assert_eq!(strength.soft, Range { min: 0.1, max: 10.0 });
    assert_eq!(filter.preset("article").unwrap().values["pyramid"], Value::Bool(false));
    assert!(filter.parameter("nothing").is_none() && filter.preset("nothing").is_none());
}

#[test]
fn a_preset_parameter_offers_the_presets() {
    let manifest = Manifest::parse(SMALL).unwrap();
    let filter = &manifest.filters[0];
    assert_eq!(filter.preset_parameter.as_deref(), Some("preset"));
    let preset = filter.parameter("preset").unwrap();
    assert_eq!(preset.kind, Kind::Choice);
    assert_eq!(preset.choices[0].id, "soft");
    assert_eq!(
        filter.presets[0].values["radius"],
        Value::Float(4.0),
        "a whole number stands for a real one"
    );
    assert_eq!(filter.presets[0].values["passes"], Value::Integer(2));
}

#[test]
fn errors_point_at_the_line_and_name_the_key() {
    let error = error_of("default = 2\n", "default = 11\n");
    assert_eq!((error.line, error.column), (33, 11));
    assert_eq!(error.key, "filter blur, parameter radius, default");
    assert_eq!(
        error.to_string(),
        "line 33, column 11: filter blur, parameter radius, default: 11.0 is outside 0 to 10"
    );

    let error = error_of("name = \"Example\"", "name = \"Beispiel für\\u0000\"");
    assert_eq!((error.line, error.column, error.key.as_str()), (3, 8, "name"));

    let error = error_of("abi = 1", "abi = 2\nnews = true");
    assert_eq!(
        (error.line, error.key.as_str()),
        (1, "abi"),
        "the number comes before what else is strange: {error}"
    );

    let error = error_of("unit = \"px\"", "unti = \"px\"");
    assert_eq!((error.line, error.column), (36, 1));
    assert!(
        error.reason.contains("unti") && error.reason.contains("unit"),
        "{error}"
    );

    let error = error_of("style_max = 1", "style_max = \"one\"");
    assert_eq!(
        (error.line, error.column, error.key.as_str()),
        (13, 13, "filter.style_max")
    );

    let error = error_of("version = \"1.2.3\"\n", "");
    assert!(error.reason.contains("version"), "{error}");

    let error = error_of("id = \"blur\"", "id = = \"blur\"");
    assert_eq!((error.line, error.column), (8, 6), "{error}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (from, to, key) in [
        ("id = \"org.example\"", "id = \"\"", "id"),
        ("library = \"example\"", "library = \"../example\"", "library"),
        ("style_min = 0", "style_min = 2", "filter blur, style_max"),
        ("id = \"passes\"", "id = \"radius\"", "filter blur, parameter, id"),
        (
            "{ id = \"clamp\"",
            "{ id = \"wrap\"",
            "filter blur, parameter edge, choices, id",
        ),
        (
            "hard = [0, 10]",
            "hard = [10, 0]",
            "filter blur, parameter radius, hard",
        ),
        (
            "hard = [0, 10]",
            "hard = [0, inf]",
            "filter blur, parameter radius, hard",
        ),
        (
            "hard = [0, 10]",
            "hard = [0, nan]",
            "filter blur, parameter radius, hard",
        ),
        ("hard = [0, 10]\n", "", "filter blur, parameter radius, hard"),
        (
            "hard = [1, 9]",
            "hard = [1, 8.5]",
            "filter blur, parameter passes, hard",
        ),
        ("soft = [1, 5]", "soft = [1, 50]", "filter blur, parameter radius, soft"),
        ("soft = [1, 5]", "step = 0", "filter blur, parameter radius, step"),
        (
            "default = 2\n",
            "default = nan\n",
            "filter blur, parameter radius, default",
        ),
        (
            "default = 2\n",
            "default = \"2\"\n",
            "filter blur, parameter radius, default",
        ),
        (
            "default = 1\n",
            "default = 1.5\n",
            "filter blur, parameter passes, default",
        ),
        (
            "default = \"wrap\"",
            "default = \"mirror\"",
            "filter blur, parameter edge, default",
        ),
        (
            "default = \"soft\"",
            "default = \"hard\"",
            "filter blur, parameter preset, default",
        ),
        (
            "kind = \"preset\"",
            "kind = \"text\"\nhard = [0, 1]",
            "filter blur, parameter preset, hard",
        ),
        (
            "kind = \"preset\"",
            "kind = \"text\"\nchoices = []",
            "filter blur, parameter preset, choices",
        ),
        (
            "kind = \"integer\"",
            "kind = \"preset\"",
            "filter blur, parameter passes, kind",
        ),
        ("radius = 4", "radios = 4", "filter blur, preset soft, values.radios"),
        ("radius = 4", "radius = 40", "filter blur, preset soft, values.radius"),
        (
            "radius = 4",
            "preset = \"soft\"",
            "filter blur, preset soft, values.preset",
        ),
    ] {
        let error = error_of(from, to);
        assert_eq!(error.key, key, "{to}: {error}");
        assert!(error.line > 1, "{error}");
    }
}

#[test]
fn values_come_back_from_their_text_bit_for_bit() {
    let manifest = Manifest::parse(SMALL).unwrap();
    let mut radius = manifest.filters[0].parameter("radius").unwrap().clone();
    radius.hard = Range {
        min: f64::MIN,
        max: f64::MAX,
    };
    for number in [
        0.1,
        1.0 / 3.0,
        5e-324,
        f64::MAX,
        f64::MIN,
        1e300,
        123_456_789.123_456_79,
        -0.0,
        2f64.powi(60),
    ] {
        let text = Value::Float(number).to_string();
        let Value::Float(back) = radius.parse(&text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!(back.to_bits(), number.to_bits(), "{text}");
    }
    for filter in &Manifest::parse(MANIFEST).unwrap().filters {
        for parameter in &filter.parameters {
            let text = parameter.default.to_string();
            assert_eq!(
                parameter.parse(&text),
                Ok(parameter.default.clone()),
                "{}",
                parameter.id
            );
        }
    }
}

#[test]
fn parameters_refuse_what_they_cannot_be() {
    let manifest = Manifest::parse(MANIFEST).unwrap();
    let filter = &manifest.filters[0];
    let refused = |id: &str, text: &str| filter.parameter(id).unwrap().parse(text).unwrap_err();
    assert_eq!(refused("brush_size", "0.01"), "0.01 is outside 0.05 to 10");
    assert_eq!(refused("brush_size", "NaN"), "NaN is outside 0.05 to 10");
    assert_eq!(refused("brush_size", "inf"), "inf is outside 0.05 to 10");
    assert_eq!(refused("brush_size", "large"), "\"large\" is not a number");
    assert_eq!(
        refused("seed", "1.5"),
        "\"1.5\" is not a whole number from 0 to 4294967295"
    );
    assert_eq!(refused("seed", "-1"), "-1 is outside 0 to 4294967295");
    assert_eq!(refused("pyramid", "yes"), "\"yes\" is neither true nor false");
    assert_eq!(refused("edges", "mirror"), "\"mirror\" is none of reflect, zero");
    assert_eq!(refused("device", "cpu\0"), "contains a NUL character");

    let number = |id: &str, number: f64| filter.parameter(id).unwrap().from_number(number);
    assert_eq!(number("seed", 7.0), Ok(Value::Integer(7)));
    assert_eq!(number("pyramid", 0.0), Ok(Value::Bool(false)));
    assert_eq!(number("quality", 0.5), Ok(Value::Float(0.5)));
    for (id, bad) in [
        ("seed", 0.5),
        ("seed", f64::NAN),
        ("seed", 1e300),
        ("pyramid", 2.0),
        ("quality", f64::NAN),
    ] {
        assert!(number(id, bad).is_err(), "{id} = {bad}");
    }
    assert!(number("edges", 0.0).unwrap_err().contains("takes text"));

    let quality = filter.parameter("quality").unwrap();
    assert!(quality.check(&Value::Integer(1)).unwrap_err().contains("not a number"));
}
