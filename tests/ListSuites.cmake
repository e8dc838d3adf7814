# Writes one add_test() for each suite that PROGRAM lists.
execute_process(COMMAND ${PROGRAM} --list OUTPUT_VARIABLE suites COMMAND_ERROR_IS_FATAL ANY)
string(REGEX REPLACE "\n$" "" suites "${suites}")
string(REPLACE "\n" ";" suites "${suites}")
set(text "")
foreach(suite IN LISTS suites)
    string(APPEND text "add_test([[${suite}]] [[${PROGRAM}]] [[${suite}]])\n"
                       "set_tests_properties([[${suite}]] PROPERTIES TIMEOUT 300)\n")
endforeach()
file(WRITE ${LIST} "${text}")
