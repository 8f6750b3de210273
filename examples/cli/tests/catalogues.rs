//! The catalogues in `examples/locale` translate every text that people read in an editor, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
fn every_text_is_translated_and_no_translation_is_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../locale");
    let output = Command::new("python3")
        .arg(folder.join("messages.py"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let texts: BTreeSet<String> = serde_json::from_slice(&output.stdout).unwrap();
    for language in ["de", "fr"] {
        let catalogue = polib::po_file::parse(&folder.join(format!("{language}.po"))).unwrap();
        let translated: BTreeSet<_> = catalogue
            .messages()
            .filter(|message| message.is_translated() && !message.is_fuzzy())
            .map(|message| message.msgid().to_owned())
            .collect();
        let difference: Vec<_> = texts.symmetric_difference(&translated).collect();
        assert!(difference.is_empty(), "{language}: {difference:#?}");
        for message in catalogue.messages() {
            let places = |text: &str| {
                let braced = text.split('{').skip(1).filter_map(|part| part.split_once('}'));
                braced.map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>()
            };
            let (original, translation) = (message.msgid(), message.msgstr().unwrap());
            assert_eq!(places(original), places(translation), "{language}: {original}");
        }
    }
}
