//! The command line: its verbs, their arguments, and their help.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::error::EXIT_CODES;

/// Repaints pictures in the manner of others, by neural style transfer.
#[derive(Debug, Parser)]
#[command(name = "pentimento", version, after_help = EXIT_CODES, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Repaint CONTENT in the manner of one or several STYLE pictures.
    Render(RenderArguments),
    /// List filters, presets and settings.
    Describe(DescribeArguments),
    /// Check the installation: which plugin, model and device, how much memory, how fast.
    Doctor(PluginArguments),
    /// Put the plugin into an editor, where it becomes a menu item, or take it away again.
    Install(InstallArguments),
    /// Write a completion script for a shell to the standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const RENDER_HELP: &str = "\
Pictures are PNG, JPEG, TIFF or WebP. OUT is stored like CONTENT, with its depth, transparency and \
colour profile, as far as OUT's format has them.

Ctrl-C once stops and writes the picture as it stands; twice cancels, and nothing is written.

Examples:
  pentimento render photo.jpg painting.jpg -o repainted.png
  pentimento render photo.tif one.png two.png --weight 3 --weight 1 -o blend.tif --preset fine
  pentimento render photo.jpg painting.jpg -o quick.jpg --size 512 --set style_strength=2
";

/// The arguments of `render`.
#[derive(Debug, Args)]
#[command(after_help = format!("{RENDER_HELP}\n{EXIT_CODES}"))]
pub struct RenderArguments {
    /// The picture to repaint.
    pub content: PathBuf,

    /// The pictures whose manner it takes on.
    #[arg(value_name = "STYLE", required = true)]
    pub styles: Vec<PathBuf>,

    /// Where the result goes; the extension tells the format: .png, .jpg, .tif or .webp.
    #[arg(short, long, value_name = "OUT", required_unless_present = "estimate")]
    pub output: Option<PathBuf>,

    /// Say what the render would take, and do not begin it.
    #[arg(long)]
    pub estimate: bool,

    /// The estimate as JSON, for programs.
    #[arg(long, requires = "estimate")]
    pub json: bool,

    /// A set of values to start from, such as draft or fine; see `pentimento describe`.
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,

    /// A setting, such as style_strength=2; may be repeated. See `pentimento describe`.
    #[arg(long = "set", value_name = "ID=VALUE")]
    pub settings: Vec<Setting>,

    /// The share of a style in the blend, once for each STYLE in their order; without any all are equal.
    #[arg(long = "weight", value_name = "W", value_parser = weight, allow_negative_numbers = true)]
    pub weights: Vec<f64>,

    /// Scale CONTENT so that its longer side is N pixels, and so the result; styles stay as they are.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub size: Option<u32>,

    /// Paint a gray CONTENT in colour.
    #[arg(long, alias = "color")]
    pub colour: bool,

    /// The filter to use.
    #[arg(long, value_name = "ID", default_value = "style-transfer")]
    pub filter: String,

    /// Where to look for the plugin, and nowhere else.
    #[command(flatten)]
    pub plugin: PluginArguments,

    /// Show warnings and errors only.
    #[arg(short, long)]
    pub quiet: bool,

    /// Show what the plugin has to tell, and the seconds since the start; twice, also what is meant for those who debug it.
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
}

/// The arguments of `describe`.
#[derive(Debug, Args)]
pub struct DescribeArguments {
    /// As JSON, for programs.
    #[arg(long)]
    pub json: bool,

    /// Where to look for the plugin.
    #[command(flatten)]
    pub plugin: PluginArguments,
}

/// The arguments of `install`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct InstallArguments {
    /// The editor.
    pub editor: Editor,

    /// Take away what was installed.
    #[arg(long)]
    pub uninstall: bool,

    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// The folder of a profile, in place of all that are found; may be repeated.
    #[arg(long = "profile", value_name = "FOLDER")]
    pub profiles: Vec<PathBuf>,

    /// Where to look for the plugin, and nowhere else.
    #[command(flatten)]
    pub plugin: PluginArguments,
}

/// An editor that the plugin can be put into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Editor {
    /// GIMP 3 and GIMP 2.10.
    Gimp,
}

/// Which plugin to use.
#[derive(Debug, Args)]
pub struct PluginArguments {
    /// The plugin's library or folder. Without it, PENTIMENTO_PLUGIN_PATH, the user's plugins and the folder of this
    /// program are searched.
    #[arg(long = "plugin", value_name = "PATH")]
    pub path: Option<PathBuf>,
}

/// One `--set`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The parameter's id.
    pub id: String,
    /// Its value as text.
    pub value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((id, value)) if !id.is_empty() => Ok(Self {
                id: id.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("a setting is written ID=VALUE"),
        }
    }
}

fn weight(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(weight) if weight > 0.0 && f64::is_finite(weight) => Ok(weight),
        _ => Err("a weight is a number above 0"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn render(arguments: &[&str]) -> Result<RenderArguments, clap::Error> {
        let all = ["pentimento", "render"].iter().chain(arguments);
        Arguments::try_parse_from(all).map(|arguments| match arguments.verb {
            Verb::Render(arguments) => arguments,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn settings_keep_what_follows_the_first_equals_sign() {
        let arguments = render(&["c.png", "s.png", "-o", "o.png", "--set", "model=/a=b", "--set", "x="]).unwrap();
        let setting = |id: &str, value: &str| Setting {
            id: id.to_owned(),
            value: value.to_owned(),
        };
        assert_eq!(arguments.settings, [setting("model", "/a=b"), setting("x", "")]);
        assert!(render(&["c.png", "s.png", "-o", "o.png", "--set", "quality"]).is_err());
        assert!(render(&["c.png", "s.png", "-o", "o.png", "--set", "=1"]).is_err());
    }

    #[test]
    fn weights_are_above_0() {
        let with = |weight| {
            render(&[
                "c.png", "s.png", "t.png", "-o", "o.png", "--weight", weight, "--weight", "1",
            ])
        };
        assert_eq!(with("2.5").unwrap().weights, [2.5, 1.0]);
        for bad in ["0", "-1", "nan", "inf", "much"] {
            assert!(with(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn content_style_and_output_are_needed() {
        assert!(render(&["c.png", "-o", "o.png"]).is_err());
        assert!(render(&["c.png", "s.png"]).is_err());
        assert!(render(&["c.png", "s.png", "--estimate", "--json"]).is_ok());
        assert!(render(&["c.png", "s.png", "-o", "o.png", "--json"]).is_err());
        assert!(render(&["c.png", "s.png", "-o", "o.png", "--size", "0"]).is_err());
        assert_eq!(
            render(&["c.png", "s.png", "t.png", "-o", "o.png"])
                .unwrap()
                .styles
                .len(),
            2
        );
    }
}
