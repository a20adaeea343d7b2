//! `product.toml` as written, before validation.

use serde::Deserialize;

use crate::problem::Spanned;

type Text = Spanned<String>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct File {
    pub version: Spanned<i64>,
    pub extends: Option<Text>,
    pub product: Identity,
    #[serde(default)]
    pub instrumented: bool,
    pub instrumented_why: Option<Text>,
    pub demo: Option<Demo>,
    #[serde(default)]
    pub boot: Boot,
    #[serde(default)]
    pub services: Vec<Text>,
    #[serde(default)]
    pub packages: Vec<Package>,
    #[serde(default)]
    pub partitions: Partitions,
    #[serde(default)]
    pub state: State,
    pub consoles: Option<Spanned<Vec<Text>>>,
    #[serde(default)]
    pub branding: Branding,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Identity {
    pub name: Text,
    pub title: Text,
    pub version: Option<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Demo {
    pub notice: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Boot {
    pub on_failure: Option<Text>,
    #[serde(default)]
    pub command_line: Vec<Word>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Word {
    pub word: Text,
    pub why: Text,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Package {
    pub name: Text,
    pub why: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Partitions {
    pub esp_mib: Option<Spanned<i64>>,
    pub core_mib: Option<Spanned<i64>>,
    pub state_mib: Option<Spanned<i64>>,
    pub swap_mib: Option<Spanned<i64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct State {
    pub recovery_key: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Branding {
    pub vendor: Option<Text>,
    pub home_url: Option<Text>,
}
