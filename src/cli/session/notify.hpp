#pragma once

#include "autoexec/config.hpp"
#include "autoexec/spawner.hpp"
#include "notify/notifications.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

/// Notifications, for subcommands that run commands.
namespace autoexec::cli {

/// The words of the program that an option or a setting names. A name with a slash is relative to
/// `folder`, and made absolute because the program runs in another one. Empty, with a `problem`, if
/// there is no such program.
std::vector<std::string> program_words(const std::string& program,
                                       const std::filesystem::path& folder, std::string& problem);

/// The configured ways. Warns if the configured program cannot be run: notifications stop no run.
notify::NotificationsOptions notifications_options(const NotifyConfig& config,
                                                   const std::filesystem::path& root,
                                                   std::shared_ptr<Spawner> spawner);

}  // namespace autoexec::cli
