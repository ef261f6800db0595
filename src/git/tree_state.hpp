#pragma once

#include "autoexec/clock.hpp"
#include "autoexec/spawner.hpp"
#include "git/interrupt.hpp"
#include "git/place.hpp"

#include <boost/asio/awaitable.hpp>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace autoexec::git {

/// Where git works for a folder, to be kept before a program may change what is in it: afterwards
/// `.git` may lead anywhere. Nothing outside git.
std::optional<Place> place_of(const std::filesystem::path& folder);

/// `git status --porcelain --branch`, at most 4 KiB. Runs no program that the repository names.
/// What went wrong, for a person, where git can't say.
asio::awaitable<std::string> tree_state(std::shared_ptr<Spawner> spawner,
                                        std::shared_ptr<Clock> clock,
                                        std::shared_ptr<Interrupt> interrupt, Place place);

}  // namespace autoexec::git
