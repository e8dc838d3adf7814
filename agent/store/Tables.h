#pragma once

#include "agent/store/Columns.h"

namespace agent
{

// The columns of the record's tables, each named once: SELECT, INSERT, UPDATE, reader and binder follow.
// To add one: a line in the last step of Schema.h, a member of the record, a line here, and the member in
// the tests' Records.h.

inline constexpr Table runTable{"runs",
                                std::array{
                                    column<&Run::seq>("seq", Written::ByRecord),
                                    textColumn<&Run::id>("id", Written::Once),
                                    column<&Run::createdAt>("created_at"),
                                    column<&Run::updatedAt>("updated_at"),
                                    column<&Run::startedAt>("started_at"),
                                    column<&Run::endedAt>("ended_at", Written::WithStatus),
                                    column<&Run::commitHash>("commit_hash"),
                                    column<&Run::commitMessage>("commit_message"),
                                    column<&Run::committer>("committer"),
                                    column<&Run::status>("status", Written::WithStatus),
                                    column<&Run::trigger>("trigger_type"),
                                    column<&Run::serviceId>("service_id", Written::Once),
                                    column<&Run::serviceName>("service_name", Written::WithStatus),
                                    column<&Run::branch>("branch", Written::WithStatus),
                                    column<&Run::pullNumber>("pull_number"),
                                    column<&Run::labels>("labels", Written::Once),
                                    column<&Run::priority>("priority"),
                                    column<&Run::beganBootId>("began_boot_id"),
                                    column<&Run::beganBootMs>("began_boot_ms"),
                                    textColumn<&Run::pipeline>("pipeline"),
                                    column<&Run::resumed>("resumed"),
                                    column<&Run::holdsSlot>("holds_slot"),
                                    column<&Run::wantsSlot>("wants_slot"),
                                    column<&Run::stopping>("stopping"),
                                    column<&Run::stopCause>("stop_cause"),
                                    column<&Run::kept>("kept"),
                                    column<&Run::version>("version"),
                                }};

/// What is known of one attempt: in `stages` of the last one, in `attempts` of those before it.
inline constexpr std::array attemptColumns{
    column<&Stage::status>("status"),
    column<&Stage::startedAt>("started_at"),
    column<&Stage::endedAt>("ended_at"),
    column<&Stage::cause>("cause"),
    column<&Stage::exitCode>("exit_code"),
    column<&Stage::signal>("signal"),
    column<&Stage::message>("message"),
    column<&Stage::containment>("containment"),
    column<&Stage::isolation>("isolation"),
    column<&Stage::network>("network"),
    column<&Stage::limitsMissing>("limits_missing"),
    column<&Stage::notes>("notes"),
    column<&Stage::logBytes>("log_bytes"),
    column<&Stage::usage, &Usage::cpuMs>("cpu_ms"),
    column<&Stage::usage, &Usage::maxRssBytes>("max_rss_bytes"),
    column<&Stage::usage, &Usage::readBytes>("read_bytes"),
    column<&Stage::usage, &Usage::writeBytes>("write_bytes"),
    column<&Stage::pluginSha256>("plugin_sha256"),
    column<&Stage::bootId>("boot_id"),
    column<&Stage::synced>("synced"),
    column<&Stage::artifactFiles>("artifact_files"),
    column<&Stage::artifactBytes>("artifact_bytes"),
    column<&Stage::artifactManifest>("artifact_manifest"),
    column<&Stage::testsTotal>("tests_total"),
    column<&Stage::testsFailed>("tests_failed"),
    column<&Stage::testsSkipped>("tests_skipped"),
};

inline constexpr Table stageTable{"stages",
                                  join(
                                      std::array{
                                          textColumn<&Stage::id>("id", Written::Once),
                                          textColumn<&Stage::runId>("run_id", Written::Once),
                                          column<&Stage::ordinal>("ordinal", Written::Once),
                                          column<&Stage::type>("type"),
                                          textColumn<&Stage::name>("name"),
                                          textColumn<&Stage::plugin>("plugin"),
                                          column<&Stage::attempt>("attempt"),
                                          column<&Stage::createdAt>("created_at"),
                                          column<&Stage::updatedAt>("updated_at"),
                                          column<&Stage::outputs>("outputs"),
                                          column<&Stage::approved>("approved"),
                                          column<&Stage::startedCorrected>("started_corrected"),
                                          column<&Stage::intent>("intent"),
                                          column<&Stage::intentActor>("intent_actor"),
                                          column<&Stage::intentReason>("intent_reason"),
                                          column<&Stage::intentStartedAt>("intent_started_at"),
                                          column<&Stage::intentEndedAt>("intent_ended_at"),
                                          column<&Stage::retryAt>("retry_at"),
                                          column<&Stage::expiresAt>("expires_at"),
                                          column<&Stage::skipped>("skipped"),
                                          column<&Stage::stuckSince>("stuck_since"),
                                          column<&Stage::stuckWhy>("stuck_why"),
                                          column<&Stage::sealKey>("seal_key"),
                                          column<&Stage::shimPid>("shim_pid"),
                                          column<&Stage::shimStart>("shim_start"),
                                          column<&Stage::version>("version"),
                                      },
                                      attemptColumns)};

inline constexpr Table attemptTable{"attempts",
                                    join(
                                        std::array{
                                            textColumn<&Stage::id>("stage_id", Written::Once),
                                            column<&Stage::attempt>("attempt", Written::Once),
                                        },
                                        attemptColumns)};

inline constexpr Table historyTable{"history",
                                    std::array{
                                        column<&HistoryEntry::seq>("seq", Written::ByRecord),
                                        column<&HistoryEntry::at>("at"),
                                        textColumn<&HistoryEntry::runId>("run_id"),
                                        column<&HistoryEntry::stageId>("stage_id"),
                                        textColumn<&HistoryEntry::actor>("actor"),
                                        column<&HistoryEntry::from>("from_status"),
                                        column<&HistoryEntry::to>("to_status"),
                                        column<&HistoryEntry::cause>("cause"),
                                        column<&HistoryEntry::reason>("reason"),
                                        column<&HistoryEntry::attempt>("attempt"),
                                    }};

inline constexpr Table tokenTable{"tokens", std::array{
                                                textColumn<&Token::name>("name", Written::Once),
                                                column<&Token::role>("role"),
                                                column<&Token::services>("services"),
                                                column<&Token::proxy>("proxy"),
                                                textColumn<&Token::digest>("digest"),
                                                column<&Token::createdAt>("created_at"),
                                                column<&Token::expiresAt>("expires_at"),
                                                column<&Token::lastUsedAt>("last_used_at"),
                                            }};

inline constexpr Table reportTable{"outbox", std::array{
                                                 column<&Report::seq>("seq", Written::ByRecord),
                                                 textColumn<&Report::id>("id", Written::Once),
                                                 textColumn<&Report::target>("target"),
                                                 textColumn<&Report::runId>("run_id"),
                                                 column<&Report::number>("number"),
                                                 textColumn<&Report::event>("event"),
                                                 column<&Report::at>("at"),
                                                 textColumn<&Report::body>("body"),
                                             }};

inline constexpr Table deliveryTable{"deliveries",
                                     std::array{
                                         column<&HookDelivery::seq>("seq", Written::ByRecord),
                                         column<&HookDelivery::at>("at"),
                                         textColumn<&HookDelivery::forge>("forge"),
                                         textColumn<&HookDelivery::delivery>("delivery"),
                                         textColumn<&HookDelivery::event>("event"),
                                         column<&HookDelivery::repository>("repository"),
                                         column<&HookDelivery::ref>("ref"),
                                         column<&HookDelivery::outcome>("outcome"),
                                         column<&HookDelivery::runIds>("run_ids"),
                                     }};

inline constexpr Table artifactSetTable{"artifact_sets",
                                        std::array{
                                            textColumn<&ArtifactSet::stageId>("stage_id"),
                                            column<&ArtifactSet::attempt>("attempt"),
                                            textColumn<&ArtifactSet::runId>("run_id"),
                                            column<&ArtifactSet::serviceId>("service_id"),
                                            column<&ArtifactSet::branch>("branch"),
                                            textColumn<&ArtifactSet::name>("name"),
                                            column<&ArtifactSet::bytes>("bytes"),
                                            column<&ArtifactSet::createdAt>("created_at"),
                                            column<&ArtifactSet::expiresAt>("expires_at"),
                                        }};

inline constexpr Table takenSetTable{"taken_sets",
                                     std::array{
                                         textColumn<&TakenSet::stageId>("stage_id"),
                                         column<&TakenSet::attempt>("attempt"),
                                         column<&TakenSet::number>("number"),
                                         textColumn<&TakenSet::service>("service"),
                                         textColumn<&TakenSet::branch>("branch"),
                                         textColumn<&TakenSet::name>("name"),
                                         textColumn<&TakenSet::to>("destination"),
                                         textColumn<&TakenSet::fromRun>("from_run"),
                                         textColumn<&TakenSet::fromStage>("from_stage"),
                                         column<&TakenSet::fromAttempt>("from_attempt"),
                                         textColumn<&TakenSet::fromFolder>("from_folder"),
                                         column<&TakenSet::commitHash>("commit_hash"),
                                         textColumn<&TakenSet::manifest>("manifest"),
                                         column<&TakenSet::files>("files"),
                                         column<&TakenSet::bytes>("bytes"),
                                         column<&TakenSet::held>("held"),
                                     }};

} // namespace agent
