#include "config/reloader.hpp"

#include <boost/json/array.hpp>

#include <utility>

namespace autoexec::config {
namespace {

boost::json::object to_json(const Diagnostic& d)
{
    return {{"path", d.path}, {"line", d.line}, {"column", d.column}, {"message", d.message}};
}

}  // namespace

Reloader::Reloader(AutoExecutionConfigManager& manager, std::shared_ptr<AuditLogger> audit,
                   Take take, Refuse refuse)
    : manager_(manager),
      audit_(std::move(audit)),
      take_(std::move(take)),
      refuse_(std::move(refuse)),
      current_(manager.load())
{}

void Reloader::look(bool asked)
{
    if (!asked && !manager_.changed_on_disk()) return;
    try {
        const auto before = std::exchange(current_, manager_.reload());
        const auto changed = changed_settings(before, current_);
        if (changed.empty() && !asked) return;
        announce(changed);
        take_(current_, changed);
    } catch (const InvalidConfiguration& e) {
        announce_refusal(e.diagnostics());
        refuse_(e.diagnostics());
    }
}

void Reloader::announce(const std::vector<std::string>& changed) const
{
    if (!audit_) return;
    AuditRecord record("config_reloaded");
    boost::json::array now;
    boost::json::array at_next_start;
    for (const auto& key : changed)
        (takes_effect_at_once(key) ? now : at_next_start).emplace_back(key);
    record.details["changed"] = std::move(now);
    record.details["at_next_start"] = std::move(at_next_start);
    audit_->log_event(std::move(record));
}

void Reloader::announce_refusal(const std::vector<Diagnostic>& diagnostics) const
{
    if (!audit_) return;
    AuditRecord record("config_rejected");
    boost::json::array errors;
    for (const auto& d : diagnostics)
        if (d.severity == Diagnostic::Severity::error) errors.push_back(to_json(d));
    record.details["errors"] = std::move(errors);
    audit_->log_event(std::move(record));
}

}  // namespace autoexec::config
