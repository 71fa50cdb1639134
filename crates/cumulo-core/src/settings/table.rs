//! The macro that makes the settings out of one table.

use std::ops::RangeInclusive;

/// What is known about one setting, for the reference page and for suggestions.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name without prefix, such as `paginate_by`.
    pub name: &'static str,
    /// Heading under which it is documented.
    pub section: &'static str,
    /// Lines of documentation.
    pub docs: &'static [&'static str],
    /// What values it takes, such as `a whole number`.
    pub expects: fn() -> String,
    /// The default as one would write it in the file.
    pub default: fn() -> String,
    /// Limits of a number.
    pub range: fn() -> Option<RangeInclusive<i128>>,
}

/// Makes the struct, `Default`, the reader and `KEYS`.
///
/// The first block is the table: a setting is read under the name of its field, or under one that
/// follows it in brackets, and a number may be limited with `=> 1..=100`. The second block has the fields that are made from families of
/// settings, which [`families`](super::families) reads.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $section:literal {
                $(
                    $(#[doc = $doc:literal])+
                    $field:ident $([$alias:literal])?: $type:ty = $default:expr $(=> $range:expr)?,
                )+
            } )+
        }
        families {
            $( $(#[doc = $family_doc:literal])+ $family:ident: $family_type:ty = $family_default:expr, )+
        }
    ) => {
        $(#[$meta])*
        pub struct $name {
            $($( $(#[doc = $doc])+ pub $field: $type, )+)+
            $( $(#[doc = $family_doc])+ pub $family: $family_type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($( $field: $default, )+)+ $( $family: $family_default, )+ }
            }
        }

        impl $name {
            /// Reads the table; families keep their defaults.
            fn read(source: &mut Source) -> Self {
                Self {
                    $($(
                        $field: source.read(
                            [$($alias,)? stringify!($field)][0],
                            $default,
                            None$(.or(Some($range)))?,
                        ),
                    )+)+
                    $( $family: $family_default, )+
                }
            }
        }

        /// Every setting of the table, in the order of the documentation.
        pub static KEYS: &[Key] = &[
            $($(
                Key {
                    name: [$($alias,)? stringify!($field)][0],
                    section: $section,
                    docs: &[$($doc),+],
                    expects: <$type as Value>::expects,
                    default: || <$type as Value>::show(&$default),
                    range: || None$(.or(Some($range)))?,
                },
            )+)+
        ];
    };
}

pub(super) use settings;
