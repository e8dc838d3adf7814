# Writes one add_test() for each suite that PROGRAM lists. Those of SANDBOXED, suites or single tests with commas between
# them, are added once more with their stages in sandboxes.
execute_process(COMMAND ${PROGRAM} --list OUTPUT_VARIABLE suites COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\n$" "" suites "${suites}")
string(REPLACE "\n" ";" suites "${suites}")
set(text "")
foreach(suite IN LISTS suites)
    string(APPEND text "add_test([[${suite}]] [[${PROGRAM}]] [[${suite}]])\n"
                       "set_tests_properties([[${suite}]] PROPERTIES TIMEOUT 300)\n")
endforeach()
string(REPLACE "," ";" sandboxed "${SANDBOXED}")
foreach(suite IN LISTS sandboxed)
    string(APPEND text "add_test([[${suite}.sandbox]] [[${PROGRAM}]] [[${suite}]])\n"
                       "set_tests_properties([[${suite}.sandbox]] PROPERTIES TIMEOUT 300\n"
                       "    ENVIRONMENT STAGE_AGENT_TEST_ISOLATION=sandbox)\n")
endforeach()
file(WRITE ${LIST} "${text}")
