#pragma once

#include "git/changes.hpp"

#include <boost/json/object.hpp>

#include <string_view>

/// Changes of files in words and as JSON. Pure.
namespace autoexec::cli {

/// `added`, `deleted`, `renamed`, `copied` or `changed`.
std::string_view word_for_change(char kind) noexcept;

/// `added` and `deleted` (lines), and the `files`.
boost::json::object to_json(const git::ChangeList& changes);

}  // namespace autoexec::cli
