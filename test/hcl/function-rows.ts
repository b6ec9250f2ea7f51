/** Of each function: an expression, and the type and JSON of its value, or where it is refused and why. */
export const FUNCTION_ROWS: Record<string, readonly (readonly [source: string, result: string])[]> = {
  abs: [
    ['abs([])', 'error: e:1,5-6: Invalid function argument; Invalid value for "num" parameter: number required.'],
    ['abs(-1.5)', 'number 1.5'],
    ['abs("x")', 'error: e:1,6-7: Invalid function argument; Invalid value for "num" parameter: a number is required.'],
    [
      'abs(null)',
      'error: e:1,5-9: Invalid function argument; Invalid value for "num" parameter: argument must not be null.',
    ],
  ],
  ceil: [
    [
      'ceil(null)',
      'error: e:1,6-10: Invalid function argument; Invalid value for "num" parameter: argument must not be null.',
    ],
    ['ceil(1.2)', 'number 2'],
    ['ceil(-1.2)', 'number -1'],
    ['ceil([])', 'error: e:1,6-7: Invalid function argument; Invalid value for "num" parameter: number required.'],
  ],
  floor: [
    ['floor([])', 'error: e:1,7-8: Invalid function argument; Invalid value for "num" parameter: number required.'],
    ['floor(-1.2)', 'number -2'],
    ['floor(9007199254740993.5)', 'number 9007199254740993'],
    ['floor("1.5")', 'number 1'],
    [
      'floor(null)',
      'error: e:1,7-11: Invalid function argument; Invalid value for "num" parameter: argument must not be null.',
    ],
  ],
  chomp: [
    [
      'chomp(null)',
      'error: e:1,7-11: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['chomp("a\\r\\n\\n")', 'string "a"'],
    ['chomp("a\\nb")', 'string "a\\nb"'],
    ['chomp([])', 'error: e:1,7-8: Invalid function argument; Invalid value for "str" parameter: string required.'],
  ],
  chunklist: [
    [
      'chunklist("x",1)',
      'error: e:1,12-13: Invalid function argument; Invalid value for "list" parameter: list of any single type required.',
    ],
    ['chunklist([1,2,3],2)', 'list of list of number [[1,2],[3]]'],
    ['chunklist([],2)', 'list of list of any single type []'],
    ['chunklist([1,2],0)', 'list of list of number [[1,2]]'],
    [
      'chunklist([1,2],-1)',
      'error: e:1,1-11: Error in function call; Call to function "chunklist" failed: the size argument must be positive.',
    ],
    [
      'chunklist([1,2],1.5)',
      'error: e:1,1-11: Error in function call; Call to function "chunklist" failed: invalid size: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
    ['chunklist(["a",1],1)', 'list of list of string [["a"],["1"]]'],
  ],
  coalesce: [
    [
      'coalesce()',
      'error: e:1,1-10: Error in function call; Call to function "coalesce" failed: all arguments must have the same type.',
    ],
    ['coalesce(null,"","x")', 'string ""'],
    ['coalesce(null,100,["x"])', 'number 100'],
    ['coalesce(null,0,true)', 'number 0'],
    ['coalesce(null,16,"true")', 'string "16"'],
    ['coalesce(1,"a")', 'string "1"'],
    [
      'coalesce(null,null)',
      'error: e:1,1-10: Error in function call; Call to function "coalesce" failed: no non-null arguments.',
    ],
    [
      'coalesce()',
      'error: e:1,1-10: Error in function call; Call to function "coalesce" failed: all arguments must have the same type.',
    ],
    [
      'coalesce([1],"a")',
      'error: e:1,1-10: Error in function call; Call to function "coalesce" failed: all arguments must have the same type.',
    ],
    ['coalesce(null,true)', 'bool true'],
  ],
  coalescelist: [
    [
      'coalescelist(null)',
      'error: e:1,1-14: Error in function call; Call to function "coalescelist" failed: coalescelist arguments must be lists or tuples.',
    ],
    ['coalescelist([],["a"])', 'tuple ["a"]'],
    [
      'coalescelist([],[])',
      'error: e:1,1-14: Error in function call; Call to function "coalescelist" failed: no non-null arguments.',
    ],
    [
      'coalescelist(null,[1])',
      'error: e:1,1-14: Error in function call; Call to function "coalescelist" failed: coalescelist arguments must be lists or tuples.',
    ],
    [
      'coalescelist("a")',
      'error: e:1,1-14: Error in function call; Call to function "coalescelist" failed: coalescelist arguments must be lists or tuples.',
    ],
    [
      'coalescelist()',
      'error: e:1,1-14: Error in function call; Call to function "coalescelist" failed: at least one argument is required.',
    ],
  ],
  compact: [
    [
      'compact(null)',
      'error: e:1,9-13: Invalid function argument; Invalid value for "list" parameter: argument must not be null.',
    ],
    ['compact(["a","",null,"b"])', 'list of string ["a","b"]'],
    ['compact([])', 'list of string []'],
    [
      'compact("x")',
      'error: e:1,10-11: Invalid function argument; Invalid value for "list" parameter: list of string required.',
    ],
    ['compact([1, ""])', 'list of string ["1"]'],
  ],
  concat: [
    [
      'concat(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "seqs" parameter: argument must not be null.',
    ],
    ['concat([1],["a"],[])', 'tuple [1,"a"]'],
    [
      'concat()',
      'error: e:1,1-8: Error in function call; Call to function "concat" failed: at least one argument is required.',
    ],
    [
      'concat([1],"x")',
      'error: e:1,13-14: Invalid function argument; Invalid value for "seqs" parameter: all arguments must be lists or tuples; got string.',
    ],
    ['concat(convert([1],list(number)),convert(["a"],list(string)))', 'list of string ["1","a"]'],
  ],
  contains: [
    [
      'contains(["a"])',
      'error: e:1,15-16: Not enough function arguments; Function "contains" expects 2 argument(s). Missing value for "value".',
    ],
    ['contains(["a"],"a")', 'bool true'],
    ['contains(["a"],null)', 'bool false'],
    [
      'contains("a","a")',
      'error: e:1,1-10: Error in function call; Call to function "contains" failed: argument must be list, tuple, or set.',
    ],
    ['contains([1,"1"],1)', 'bool true'],
    ['contains([[1]],[1])', 'bool true'],
  ],
  convert: [
    [
      'convert()',
      'error: e:1,9-10: Not enough function arguments; Function "convert" expects 2 argument(s). Missing value for "value".',
    ],
    ['convert("3",number)', 'number 3'],
    ['convert([1,"a"],list(string))', 'list of string ["1","a"]'],
    ['convert({a=1},map(string))', 'map of string {"a":"1"}'],
    [
      'convert("x",number)',
      'error: e:1,10-11: Invalid function argument; Invalid value for "value" parameter: a number is required.',
    ],
    ['convert({a="1"},object({a=number}))', 'object {"a":1}'],
    [
      'convert({},object({a=number}))',
      'error: e:1,9-10: Invalid function argument; Invalid value for "value" parameter: attribute "a" is required.',
    ],
    [
      'convert("x", nope)',
      'error: e:1,14-18: Invalid function argument; Invalid value for "type" parameter: it must be a type, such as string or list(number).',
    ],
    [
      'convert(1)',
      'error: e:1,10-11: Not enough function arguments; Function "convert" expects 2 argument(s). Missing value for "type".',
    ],
    ['convert(null, string)', 'string null'],
    ['convert([1, "a"], tuple([number, string]))', 'tuple [1,"a"]'],
    ['convert([1], set(string))', 'set of string ["1"]'],
  ],
  csvdecode: [
    [
      'csvdecode(null)',
      'error: e:1,11-15: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['csvdecode("a,b\\n1,\\"x,\\"\\"y\\"\\n")', 'list of object [{"a":"1","b":"x,\\"y"}]'],
    [
      'csvdecode("a,a\\n1,2")',
      'error: e:1,1-11: Error in function call; Call to function "csvdecode" failed: duplicate column name "a".',
    ],
    [
      'csvdecode("")',
      'error: e:1,1-11: Error in function call; Call to function "csvdecode" failed: missing header line.',
    ],
    [
      'csvdecode("a,b\\n1")',
      'error: e:1,1-11: Error in function call; Call to function "csvdecode" failed: CSV parse error on line 2: wrong number of fields.',
    ],
    [
      'csvdecode("a,b\\n1,x\\"y")',
      'error: e:1,1-11: Error in function call; Call to function "csvdecode" failed: CSV parse error on line 2: bare " in non-quoted-field.',
    ],
    [
      'csvdecode("a,b\\n1,\\"x")',
      'error: e:1,1-11: Error in function call; Call to function "csvdecode" failed: CSV parse error on line 2: extraneous or missing " in quoted-field.',
    ],
    ['csvdecode("a,b\\n\\n1,2\\r\\n3,")', 'list of object [{"a":"1","b":"2"},{"a":"3","b":""}]'],
    [
      'csvdecode("a\\n\\"x\\ny\\"\\n\\"z\\" ")',
      'error: e:1,1-11: Error in function call; Call to function "csvdecode" failed: CSV parse error on line 4: extraneous or missing " in quoted-field.',
    ],
    ['csvdecode(1)', 'list of object []'],
  ],
  distinct: [
    [
      'distinct(null)',
      'error: e:1,10-14: Invalid function argument; Invalid value for "list" parameter: argument must not be null.',
    ],
    ['distinct(["a","b","a"])', 'list of string ["a","b"]'],
    ['distinct([1,"1"])', 'list of string ["1"]'],
    ['distinct([[1],[1]])', 'list of tuple [[1]]'],
    [
      'distinct("x")',
      'error: e:1,11-12: Invalid function argument; Invalid value for "list" parameter: list of any single type required.',
    ],
    ['distinct([])', 'list of any single type []'],
  ],
  element: [
    [
      'element(null,0)',
      'error: e:1,9-13: Invalid function argument; Invalid value for "list" parameter: argument must not be null.',
    ],
    ['element(["a","b","c"],4)', 'string "b"'],
    ['element(["a","b"],-1)', 'string "b"'],
    [
      'element([],0)',
      'error: e:1,1-9: Error in function call; Call to function "element" failed: cannot use element function with an empty list.',
    ],
    [
      'element(["a"],1.5)',
      'error: e:1,1-9: Error in function call; Call to function "element" failed: invalid index: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
    [
      'element("x",0)',
      'error: e:1,1-9: Error in function call; Call to function "element" failed: cannot read elements from string.',
    ],
  ],
  flatten: [
    [
      'flatten(null)',
      'error: e:1,9-13: Invalid function argument; Invalid value for "list" parameter: argument must not be null.',
    ],
    ['flatten([[1,[2]],[],3])', 'tuple [1,2,3]'],
    [
      'flatten("x")',
      'error: e:1,1-9: Error in function call; Call to function "flatten" failed: can only flatten lists, sets and tuples.',
    ],
    ['flatten([null,["a",null]])', 'tuple [null,"a",null]'],
    ['flatten([])', 'tuple []'],
    [
      'flatten({})',
      'error: e:1,1-9: Error in function call; Call to function "flatten" failed: can only flatten lists, sets and tuples.',
    ],
  ],
  format: [
    [
      'format(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "format" parameter: argument must not be null.',
    ],
    ['format("%s-%03d-%v-%t-%q","a",7,1.5,true,"x")', 'string "a-007-1.5-true-\\"x\\""'],
    ['format("%5.1f|%-5s|%x|%#v|%%",3.14159,"ab",255,["a"])', 'string "  3.1|ab   |ff|[\\"a\\"]|%"'],
    ['format("%[2]s %[1]s","a","b")', 'string "b a"'],
    [
      'format("%d","x")',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported value for "%d" at 0: a number is required.',
    ],
    [
      'format("%d")',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: not enough arguments for "%d" at 0: need index 1 but have 0 total.',
    ],
    [
      'format("x",1)',
      'error: e:1,12-13: Invalid function argument; Invalid value for "args" parameter: too many arguments; no verbs in format string.',
    ],
    [
      'format("%s","a","b")',
      'error: e:1,18-19: Invalid function argument; Invalid value for "args" parameter: too many arguments; only 1 used by format string.',
    ],
    ['format("%v",1000000)', 'string "1e+06"'],
    ['format("%v",123456)', 'string "123456"'],
    ['format("%v",0.00001)', 'string "1e-05"'],
    ['format("%v",1234567.891)', 'string "1.234567891e+06"'],
    ['format("%v",null)', 'string "null"'],
    [
      'format("%s",null)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported value for "%s" at 0: null value cannot be formatted.',
    ],
    ['format("%#v","a<b")', 'string "\\"a\\\\u003cb\\""'],
    ['format("%v",{a=1})', 'string "{\\"a\\":1}"'],
    ['format("%v",[1,"x"])', 'string "[1,\\"x\\"]"'],
    ['format("%g",1234567.891)', 'string "1.234567891e+06"'],
    ['format("%.3g",1234567.891)', 'string "1.23e+06"'],
    ['format("%G",1e-7)', 'string "1E-07"'],
    ['format("%e",123456.789)', 'string "1.234568e+05"'],
    ['format("%E",0)', 'string "0.000000E+00"'],
    ['format("%.2e",9.999)', 'string "1.00e+01"'],
    ['format("%f",1e21)', 'string "1000000000000000000000.000000"'],
    ['format("%.0f",2.5)', 'string "2"'],
    ['format("%.0f",3.5)', 'string "4"'],
    ['format("%+d % d %+.1f",5,5,5)', 'string "+5  5 +5.0"'],
    ['format("%08.3f|%-8.3f|%8.3f",-3.14159,3.14159,3.14159)', 'string "-003.142|3.142   |   3.142"'],
    ['format("%b %o %x %X %#x %#o %#b",10,10,255,255,255,8,5)', 'string "1010 12 ff FF 0xff 010 0b101"'],
    ['format("%05d|%-5d|%5d|%+05d|%.3d|%8.3d",42,42,42,42,42,42)', 'string "00042|42   |   42|+0042|042|     042"'],
    [
      'format("%d",1.5)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported value for "%d" at 0: an integer is required.',
    ],
    ['format("%d",123456789012345678901234567890)', 'string "123456789012345678901234567890"'],
    ['format("%t","true")', 'string "true"'],
    [
      'format("%t",1)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported value for "%t" at 0: bool required.',
    ],
    ['format("%5t|",true)', 'string "true|"'],
    ['format("%-5q|%05s|%.2s|%.0s","a","ab","abc","abc")', 'string "\\"a\\"  |000ab|ab|abc"'],
    [
      'format("%z",1)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported format verb \'z\' in "%z" at offset 0.',
    ],
    [
      'format("%",1)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: invalid format string starting at offset 1.',
    ],
    [
      'format("%5",1)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: invalid format string starting at offset 2.',
    ],
    [
      'format("%é",1)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unrecognized format character \'é\' at offset 1.',
    ],
    [
      'format("a%!",1)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unrecognized format character \'!\' at offset 2.',
    ],
    [
      'format("%c",65)',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported format verb \'c\' in "%c" at offset 0.',
    ],
    [
      'format("%s",[1])',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported value for "%s" at 0: string required.',
    ],
    ['format("%s",1.50)', 'string "1.5"'],
    ['format("%f",0.1)', 'string "0.100000"'],
    ['format("%.20f",0.1)', 'string "0.10000000000000000000"'],
    ['format("%v",0.1)', 'string "0.1"'],
    ['format("%v",100000)', 'string "100000"'],
    ['format("%v",12345678901234567890)', 'string "1.234567890123456789e+19"'],
    [
      'format("%x","ff")',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: unsupported value for "%x" at 0: a number is required.',
    ],
    [
      'format("%s %s","a")',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: not enough arguments for "%s" at 3: need index 2 but have 1 total.',
    ],
    [
      'format("%[3]s","a")',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: not enough arguments for "%[3]s" at 0: need index 3 but have 1 total.',
    ],
    [
      'format("é%d")',
      'error: e:1,1-8: Error in function call; Call to function "format" failed: not enough arguments for "%d" at 2: need index 1 but have 0 total.',
    ],
  ],
  formatdate: [
    [
      'formatdate("Z",null)',
      'error: e:1,16-20: Invalid function argument; Invalid value for "time" parameter: argument must not be null.',
    ],
    ['formatdate("YYYY-MM-DD\'T\'hh:mm:ssZ","2018-01-02T23:12:01Z")', 'string "2018-01-02T23:12:01Z"'],
    ['formatdate("DD MMM YYYY hh:mm ZZZ","2018-01-02T23:12:01-08:00")', 'string "02 Jan 2018 23:12 -0800"'],
    ['formatdate("EEEE, DD-MMM-YY hh:mm:ss ZZZ","2018-01-02T23:12:01Z")', 'string "Tuesday, 02-Jan-18 23:12:01 UTC"'],
    [
      'formatdate("EEE, D MMMM HH:m:s AA aa ZZZZ ZZZZZ","2018-01-02T03:02:01+05:30")',
      'string "Tue, 2 January 03:2:1 AM am +0530 +05:30"',
    ],
    ["formatdate(\"'it''s' h''\",\"2018-01-02T03:02:01Z\")", 'string "it\'s 3\'"'],
    [
      'formatdate("\'x","2018-01-02T03:02:01Z")',
      'error: e:1,13-15: Invalid function argument; Invalid value for "format" parameter: unterminated literal \'.',
    ],
    [
      'formatdate("YYY","2018-01-02T03:02:01Z")',
      'error: e:1,13-16: Invalid function argument; Invalid value for "format" parameter: invalid date format verb "YYY": year must either be "YY" or "YYYY".',
    ],
    [
      'formatdate("Q","2018-01-02T03:02:01Z")',
      'error: e:1,13-14: Invalid function argument; Invalid value for "format" parameter: invalid date format verb "Q".',
    ],
    [
      'formatdate("YYYY","2018-01-02")',
      'error: e:1,20-30: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: missing required time introducer \'T\'.',
    ],
    [
      'formatdate("YYYY","x")',
      'error: e:1,20-21: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: cannot use "x" as year.',
    ],
    [
      'formatdate("YYYY","2018-13-02T03:02:01Z")',
      'error: e:1,20-40: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: month out of range.',
    ],
    [
      'formatdate("YYYY","2018-02-30T03:02:01Z")',
      'error: e:1,20-40: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: day out of range.',
    ],
    [
      'formatdate("YYYY","2018-02-03T25:02:01Z")',
      'error: e:1,20-40: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: hour must be between 0 and 23 inclusive.',
    ],
    [
      'formatdate("YYYY","2018-02-03 25:02:01Z")',
      'error: e:1,20-40: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: missing required time introducer \'T\'.',
    ],
    [
      'formatdate("YYYY","2018-02-03T05:02:01")',
      'error: e:1,20-39: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: end of string before UTC offset.',
    ],
    [
      'formatdate("YYYY","")',
      'error: e:1,21-21: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: end of string before year.',
    ],
    [
      'formatdate("YYYY","2018")',
      'error: e:1,20-24: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: end of string where "-" is expected.',
    ],
    [
      'formatdate("YYYY","2018-02-03T5:02:01Z")',
      'error: e:1,20-39: Invalid function argument; Invalid value for "time" parameter: not a valid RFC3339 timestamp: hour must have exactly two digits.',
    ],
  ],
  formatlist: [
    [
      'formatlist(null)',
      'error: e:1,12-16: Invalid function argument; Invalid value for "format" parameter: argument must not be null.',
    ],
    ['formatlist("%s!%s",["a","b"],"z")', 'list of string ["a!z","b!z"]'],
    ['formatlist("%s",[])', 'list of string []'],
    ['formatlist("x")', 'list of string ["x"]'],
    [
      'formatlist("%s%s",["a"],["b","c"])',
      'error: e:1,25-26: Invalid function argument; Invalid value for "args" parameter: argument 2 has length 2, which is inconsistent with argument 1 of length 1.',
    ],
    [
      'formatlist("%d",["a"])',
      'error: e:1,1-12: Error in function call; Call to function "formatlist" failed: error on format iteration 0: unsupported value for "%d" at 0: a number is required.',
    ],
    ['formatlist("%s","a")', 'list of string ["a"]'],
  ],
  indent: [
    [
      'indent("x","a")',
      'error: e:1,9-10: Invalid function argument; Invalid value for "spaces" parameter: a number is required.',
    ],
    ['indent(2,"a\\nb")', 'string "a\\n  b"'],
    [
      'indent(-1,"a")',
      'error: e:1,8-9: Invalid function argument; Invalid value for "spaces" parameter: the number of spaces must not be negative.',
    ],
    [
      'indent(1.5,"a")',
      'error: e:1,1-8: Error in function call; Call to function "indent" failed: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
  ],
  index: [
    [
      'index([1])',
      'error: e:1,10-11: Not enough function arguments; Function "index" expects 2 argument(s). Missing value for "key".',
    ],
    ['index(["a","b"],1)', 'string "b"'],
    [
      'index(["a","b"],2)',
      'error: e:1,1-7: Error in function call; Call to function "index" failed: key must be between 0 and 2 inclusive.',
    ],
    [
      'index(["a","b"],"b")',
      'error: e:1,1-7: Error in function call; Call to function "index" failed: key for tuple must be number.',
    ],
    [
      'index({a=1},"a")',
      'error: e:1,1-7: Error in function call; Call to function "index" failed: collection must be a list, a map or a tuple.',
    ],
    ['index(convert({a=1},map(number)),"a")', 'number 1'],
    [
      'index(convert({a=1},map(number)),"b")',
      'error: e:1,1-7: Error in function call; Call to function "index" failed: invalid index.',
    ],
    [
      'index(convert([1],list(number)),5)',
      'error: e:1,1-7: Error in function call; Call to function "index" failed: invalid index.',
    ],
    [
      'index("a",0)',
      'error: e:1,1-7: Error in function call; Call to function "index" failed: collection must be a list, a map or a tuple.',
    ],
  ],
  join: [
    [
      'join()',
      'error: e:1,6-7: Not enough function arguments; Function "join" expects at least 1 argument(s). Missing value for "separator".',
    ],
    ['join("-",["a","b"],["c"])', 'string "a-b-c"'],
    [
      'join("-",["a",null])',
      'error: e:1,10-11: Invalid function argument; Invalid value for "lists" parameter: element 1 is null; cannot concatenate null values.',
    ],
    [
      'join("-")',
      'error: e:1,1-6: Error in function call; Call to function "join" failed: at least one list is required.',
    ],
    ['join("-",[1,2])', 'string "1-2"'],
    [
      'join(",",["a"],[null])',
      'error: e:1,16-17: Invalid function argument; Invalid value for "lists" parameter: element 0 of list 2 is null; cannot concatenate null values.',
    ],
  ],
  jsondecode: [
    [
      'jsondecode(null)',
      'error: e:1,12-16: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    [
      'jsondecode("{\\"a\\":[1,123456789012345678901234567890,\\"1\\"]}")',
      'object {"a":[1,123456789012345678901234567890,"1"]}',
    ],
    ['jsondecode("1.50")', 'number 1.5'],
    ['jsondecode("{\\"a\\":1,\\"a\\":2}")', 'object {"a":2}'],
    [
      'jsondecode("{")',
      'error: e:1,1-12: Error in function call; Call to function "jsondecode" failed: it is not valid JSON, line 1, column 2: Invalid JSON property name.',
    ],
    [
      'jsondecode("")',
      'error: e:1,1-12: Error in function call; Call to function "jsondecode" failed: it is not valid JSON, line 1, column 1: Missing JSON value.',
    ],
  ],
  jsonencode: [
    [
      'jsonencode()',
      'error: e:1,12-13: Not enough function arguments; Function "jsonencode" expects 1 argument(s). Missing value for "val".',
    ],
    ['jsonencode({a=[1,null,"<&>\\u2028"]})', 'string "{\\"a\\":[1,null,\\"\\\\u003c\\\\u0026\\\\u003e\\\\u2028\\"]}"'],
    ['jsonencode(9007199254740993)', 'string "9007199254740993"'],
    ['jsonencode(0.1+0.2)', 'string "0.3"'],
    [
      'jsonencode(1/3)',
      'string "0.33333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333335"',
    ],
    ['jsonencode(1e30)', 'string "1000000000000000000000000000000"'],
    ['jsonencode(1.5e-7)', 'string "0.00000015"'],
    ['jsonencode(null)', 'string "null"'],
    ['jsonencode({b=1,a=2,"é"=3,Z=4})', 'string "{\\"Z\\":4,\\"a\\":2,\\"b\\":1,\\"é\\":3}"'],
  ],
  keys: [
    [
      'keys(null)',
      'error: e:1,6-10: Invalid function argument; Invalid value for "inputMap" parameter: argument must not be null.',
    ],
    ['keys({b=1,a=2})', 'tuple ["a","b"]'],
    ['keys({})', 'tuple []'],
    ['keys(convert({b=1},map(number)))', 'list of string ["b"]'],
    [
      'keys([1])',
      'error: e:1,6-7: Invalid function argument; Invalid value for "inputMap" parameter: must have map or object type.',
    ],
    [
      'keys("x")',
      'error: e:1,7-8: Invalid function argument; Invalid value for "inputMap" parameter: must have map or object type.',
    ],
  ],
  length: [
    [
      'length(1)',
      'error: e:1,1-8: Error in function call; Call to function "length" failed: collection must be a list, a map or a tuple.',
    ],
    [
      'length("x")',
      'error: e:1,1-8: Error in function call; Call to function "length" failed: collection must be a list, a map or a tuple.',
    ],
    ['length([1,2])', 'number 2'],
    [
      'length({a=1})',
      'error: e:1,1-8: Error in function call; Call to function "length" failed: collection must be a list, a map or a tuple.',
    ],
    ['length(convert({a=1},map(number)))', 'number 1'],
    [
      'length(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "collection" parameter: argument must not be null.',
    ],
    ['length(convert(["a", "a"], set(string)))', 'number 1'],
  ],
  log: [
    [
      'log(1)',
      'error: e:1,6-7: Not enough function arguments; Function "log" expects 2 argument(s). Missing value for "base".',
    ],
    ['log(8,2)', 'number 3'],
    ['log(16,2)', 'number 4'],
    [
      'log(0,2)',
      'error: e:1,1-5: Error in function call; Call to function "log" failed: the result is no finite number.',
    ],
    [
      'log("a",2)',
      'error: e:1,6-7: Invalid function argument; Invalid value for "num" parameter: a number is required.',
    ],
    ['log(1, 0)', 'number -0'],
  ],
  lookup: [
    [
      'lookup({},null,1)',
      'error: e:1,11-15: Invalid function argument; Invalid value for "key" parameter: argument must not be null.',
    ],
    ['lookup({a=1},"a",2)', 'number 1'],
    ['lookup({a=1},"b",2)', 'number 2'],
    [
      'lookup({a=1},"b")',
      'error: e:1,17-18: Not enough function arguments; Function "lookup" expects 3 argument(s). Missing value for "default".',
    ],
    [
      'lookup(convert({a=1},map(number)),"b","x")',
      'error: e:1,40-41: Invalid function argument; Invalid value for "default" parameter: the default value must have the same type as the map elements.',
    ],
    ['lookup(convert({a=1},map(number)),"b","7")', 'number 7'],
    [
      'lookup([1],"b",2)',
      'error: e:1,8-9: Invalid function argument; Invalid value for "inputMap" parameter: lookup() requires a map as the first argument.',
    ],
  ],
  lower: [
    [
      'lower(null)',
      'error: e:1,7-11: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['lower("ÀÉẞ İ ΑΣ")', 'string "àéß i ασ"'],
    ['lower(["A"])', 'error: e:1,7-8: Invalid function argument; Invalid value for "str" parameter: string required.'],
    ['lower("")', 'string ""'],
  ],
  upper: [
    [
      'upper()',
      'error: e:1,7-8: Not enough function arguments; Function "upper" expects 1 argument(s). Missing value for "str".',
    ],
    ['upper("straße ǆ ﬁ")', 'string "STRAßE Ǆ ﬁ"'],
    [
      'upper(length("x"))',
      'error: e:1,7-14: Error in function call; Call to function "length" failed: collection must be a list, a map or a tuple.',
    ],
    [
      'upper(lower(1,2))',
      'error: e:1,15-16: Too many function arguments; Function "lower" expects only 1 argument(s).',
    ],
    [
      'upper(null)',
      'error: e:1,7-11: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['upper([])', 'error: e:1,7-8: Invalid function argument; Invalid value for "str" parameter: string required.'],
    ['upper("ß")', 'string "ß"'],
  ],
  max: [
    ['max([])', 'error: e:1,5-6: Invalid function argument; Invalid value for "numbers" parameter: number required.'],
    ['max(1,3,2)', 'number 3'],
    ['max()', 'error: e:1,1-5: Error in function call; Call to function "max" failed: must pass at least one number.'],
    [
      'max("x")',
      'error: e:1,6-7: Invalid function argument; Invalid value for "numbers" parameter: a number is required.',
    ],
    ['max([1, 5, 3]...)', 'number 5'],
    [
      'max(null...)',
      'error: e:1,5-9: Invalid expanding argument value; The expanding argument (indicated by ...) must not be null.',
    ],
    [
      'max("x"...)',
      'error: e:1,5-8: Invalid expanding argument value; The expanding argument (indicated by ...) must be of a tuple, list, or set type.',
    ],
  ],
  min: [
    [
      'min(null)',
      'error: e:1,5-9: Invalid function argument; Invalid value for "numbers" parameter: argument must not be null.',
    ],
    ['min(1,3,2)', 'number 1'],
    ['min("2",10)', 'number 2'],
    ['min()', 'error: e:1,1-5: Error in function call; Call to function "min" failed: must pass at least one number.'],
    [
      'min("x")',
      'error: e:1,6-7: Invalid function argument; Invalid value for "numbers" parameter: a number is required.',
    ],
  ],
  merge: [
    [
      'merge([])',
      'error: e:1,1-7: Error in function call; Call to function "merge" failed: arguments must be maps or objects, got "tuple".',
    ],
    ['merge({a=1,b=2},{b=3})', 'object {"a":1,"b":3}'],
    ['merge()', 'object {}'],
    ['merge({a=1},null)', 'object {"a":1}'],
    [
      'merge({a=1},[1])',
      'error: e:1,1-7: Error in function call; Call to function "merge" failed: arguments must be maps or objects, got "tuple".',
    ],
    ['merge(convert({a=1},map(number)),convert({b=2},map(number)))', 'map of number {"a":1,"b":2}'],
    ['merge(convert({a=1},map(number)),{b="x"})', 'object {"a":1,"b":"x"}'],
    ['merge({ a = { b = 1 } }, { a = { c = 2 } })', 'object {"a":{"c":2}}'],
  ],
  parseint: [
    [
      'parseint("x",10)',
      'error: e:1,11-12: Invalid function argument; Invalid value for "number" parameter: cannot parse "x" as a base 10 integer.',
    ],
    ['parseint("ff",16)', 'number 255'],
    ['parseint("FF",16)', 'number 255'],
    [
      'parseint("12",2)',
      'error: e:1,11-13: Invalid function argument; Invalid value for "number" parameter: cannot parse "12" as a base 2 integer.',
    ],
    [
      'parseint("1",1)',
      'error: e:1,14-15: Invalid function argument; Invalid value for "base" parameter: base must be a whole number between 2 and 62 inclusive.',
    ],
    ['parseint("zZ",62)', 'number 2231'],
    [
      'parseint(12,10)',
      'error: e:1,10-12: Invalid function argument; Invalid value for "number" parameter: first argument must be a string, not number.',
    ],
    ['parseint("-101",2)', 'number -5'],
    [
      'parseint("1.5",10)',
      'error: e:1,11-14: Invalid function argument; Invalid value for "number" parameter: cannot parse "1.5" as a base 10 integer.',
    ],
    [
      'parseint("1",2.5)',
      'error: e:1,14-17: Invalid function argument; Invalid value for "base" parameter: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
  ],
  pow: [
    [
      'pow(2)',
      'error: e:1,6-7: Not enough function arguments; Function "pow" expects 2 argument(s). Missing value for "power".',
    ],
    ['pow(2,10)', 'number 1024'],
    ['pow(2,-1)', 'number 0.5'],
    ['pow(9,0.5)', 'number 3'],
    ['pow(7,100)', 'number 3234476509624758300000000000000000000000000000000000000000000000000000000000000000000'],
    ['pow(2.5,-3.7)', 'number 0.03369938443095647'],
    ['pow(-2,3)', 'number -8'],
    ['pow(0,0)', 'number 1'],
    ['pow(10,22)', 'number 10000000000000000000000'],
    ['pow(2,100)', 'number 1267650600228229400000000000000'],
    [
      'pow("x", 1)',
      'error: e:1,6-7: Invalid function argument; Invalid value for "num" parameter: a number is required.',
    ],
  ],
  range: [
    [
      'range("x")',
      'error: e:1,8-9: Invalid function argument; Invalid value for "params" parameter: a number is required.',
    ],
    ['range(2,2,0)', 'list of number []'],
    ['range(3)', 'list of number [0,1,2]'],
    ['range(-3)', 'list of number [0,-1,-2]'],
    ['range(1,3)', 'list of number [1,2]'],
    ['range(5,1,-2)', 'list of number [5,3]'],
    [
      'range(1,3,0)',
      'error: e:1,11-12: Invalid function argument; Invalid value for "params" parameter: step must not be zero.',
    ],
    [
      'range(1,3,-1)',
      'error: e:1,9-10: Invalid function argument; Invalid value for "params" parameter: end must be less than start when step is negative.',
    ],
    [
      'range(3,1,1)',
      'error: e:1,9-10: Invalid function argument; Invalid value for "params" parameter: end must be greater than start when step is positive.',
    ],
    ['range(0,1,0.25)', 'list of number [0,0.25,0.5,0.75]'],
    [
      'range(2000)',
      'error: e:1,1-7: Error in function call; Call to function "range" failed: more than 1024 values were generated; either decrease the difference between start and end or use a smaller step.',
    ],
    [
      'range()',
      'error: e:1,1-7: Error in function call; Call to function "range" failed: must have one, two, or three arguments.',
    ],
    [
      'range(1,2,3,4)',
      'error: e:1,1-7: Error in function call; Call to function "range" failed: must have one, two, or three arguments.',
    ],
  ],
  reverse: [
    [
      'reverse(null)',
      'error: e:1,9-13: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['reverse("hello")', 'string "olleh"'],
    [
      'reverse([1,2])',
      'error: e:1,9-10: Invalid function argument; Invalid value for "str" parameter: string required.',
    ],
  ],
  replace: [
    [
      'replace(null,"a","b")',
      'error: e:1,9-13: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['replace("1 + 2 + 3","+","-")', 'string "1 - 2 - 3"'],
    ['replace("abc","","-")', 'string "-a-b-c-"'],
    ['replace("hello world","/w.*d/","x")', 'string "hello world"'],
    [
      'replace("a", "b")',
      'error: e:1,17-18: Not enough function arguments; Function "replace" expects 3 argument(s). Missing value for "replace".',
    ],
  ],
  regex_replace: [
    [
      'regex_replace("a","b")',
      'error: e:1,22-23: Not enough function arguments; Function "regex_replace" expects 3 argument(s). Missing value for "replace".',
    ],
    ['regex_replace("barfoo","(b)(ar)","$2$1-")', 'string "arb-foo"'],
    ['regex_replace("barfoo","(b)(ar)","${2}${1}x")', 'string "21xfoo"'],
    ['regex_replace("-ab-axxb-","a(x*)b","T")', 'string "-T-T-"'],
    ['regex_replace("-ab-axxb-","a(x*)b","$1")', 'string "--xx-"'],
    ['regex_replace("-ab-axxb-","a(x*)b","$1W")', 'string "---"'],
    [
      'regex_replace("-ab-axxb-","a(?P<n>x*)b","${n}W$$")',
      'error: e:1,44-45: Unknown variable; There is no variable named "n".',
    ],
    ['regex_replace("abc","","-")', 'string "-a-b-c-"'],
    ['regex_replace("baaac","a*","x")', 'string "xbxcx"'],
    ['regex_replace("abc","x*","-")', 'string "-a-b-c-"'],
    ['regex_replace("Hello","(?i)hELLO","x")', 'string "x"'],
    ['regex_replace("a.b","\\\\Q.\\\\E","-")', 'string "a-b"'],
    ['regex_replace("a1é2","[[:digit:]]+","#")', 'string "a#é#"'],
    ['regex_replace("a1é2","\\\\p{L}","L")', 'string "L1L2"'],
    ['regex_replace("a1é2","[^\\\\d]","x")', 'string "x1x2"'],
    [
      'regex_replace("x","(","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: missing closing ): `(`.',
    ],
    [
      'regex_replace("x","a)","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: unexpected ): `a)`.',
    ],
    [
      'regex_replace("x","(?=a)","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid or unsupported Perl syntax: `(?=`.',
    ],
    [
      'regex_replace("x","(?<!a)","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid or unsupported Perl syntax: `(?<!`.',
    ],
    [
      'regex_replace("x","\\\\1","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid escape sequence: `\\1`.',
    ],
    [
      'regex_replace("x","*","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: missing argument to repetition operator: `*`.',
    ],
    [
      'regex_replace("x","a**","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid nested repetition operator: `**`.',
    ],
    [
      'regex_replace("x","[a","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: missing closing ]: `[a`.',
    ],
    [
      'regex_replace("x","[z-a]","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid character class range: `z-a`.',
    ],
    [
      'regex_replace("x","a{1001}","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid repeat count: `{1001}`.',
    ],
    [
      'regex_replace("x","a{2,1}","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid repeat count: `{2,1}`.',
    ],
    [
      'regex_replace("x","\\\\8","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid escape sequence: `\\8`.',
    ],
    [
      'regex_replace("x","x\\\\","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: trailing backslash at end of expression: ``.',
    ],
    [
      'regex_replace("x","(?P<n>a)(?P<n>b)","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: duplicate capture group name: `n`.',
    ],
    [
      'regex_replace("x","\\\\pX","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid character class range: `\\pX`.',
    ],
    [
      'regex_replace("x","[[:foo:]]","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid character class range: `[:foo:]`.',
    ],
    [
      'regex_replace("x","(?z)","")',
      'error: e:1,1-15: Error in function call; Call to function "regex_replace" failed: error parsing regexp: invalid or unsupported Perl syntax: `(?z`.',
    ],
    ['regex_replace("a\\nb","(?m)^","> ")', 'string "\\u003e a\\n\\u003e b"'],
    ['regex_replace("a\\nb","(?s)a.b","x")', 'string "x"'],
    ['regex_replace("a\\nb","a.b","x")', 'string "a\\nb"'],
    ['regex_replace("aab","a+?","x")', 'string "xxb"'],
    ['regex_replace("aab","(?U)a+","x")', 'string "xxb"'],
    ['regex_replace("foo bar","\\\\b","|")', 'string "|foo| |bar|"'],
    ['regex_replace("foo bar","\\\\Bo","0")', 'string "f00 bar"'],
    ['regex_replace("abcabc","\\\\Aabc","x")', 'string "xabc"'],
    ['regex_replace("abcabc","abc\\\\z","x")', 'string "abcx"'],
    ['regex_replace("aXbX","(?i:x)b","-")', 'string "a-X"'],
    ['regex_replace("a{,2}","a{,2}","x")', 'string "x"'],
    ['regex_replace("aaaa","a{2}","x")', 'string "xx"'],
    ['regex_replace("aaaaa","a{2,3}","x")', 'string "xx"'],
    ['regex_replace("aaaaa","a{2,}?","x")', 'string "xxa"'],
    ['regex_replace("ab","a|ab","x")', 'string "xb"'],
    ['regex_replace("abcd","(a|ab)(c|bcd)(d*)","[$1][$2][$3]")', 'string "[a][bcd][]"'],
    ['regex_replace("日本語","本","x")', 'string "日x語"'],
    ['regex_replace("k K","(?i)k","x")', 'string "x x"'],
  ],
  setintersection: [
    [
      'setintersection(null)',
      'error: e:1,17-21: Invalid function argument; Invalid value for "first_set" parameter: argument must not be null.',
    ],
    ['setintersection(["a","b"],["b"])', 'set of string ["b"]'],
    [
      'setintersection(["a"],"b")',
      'error: e:1,24-25: Invalid function argument; Invalid value for "other_sets" parameter: set of any single type required.',
    ],
    [
      'setintersection()',
      'error: e:1,17-18: Not enough function arguments; Function "setintersection" expects at least 1 argument(s). Missing value for "first_set".',
    ],
    ['setintersection(["a"], [1])', 'set of string []'],
    ['setintersection([1, 2, 3], [3, 2], [2])', 'set of number [2]'],
  ],
  setunion: [
    [
      'setunion("x")',
      'error: e:1,11-12: Invalid function argument; Invalid value for "first_set" parameter: set of any single type required.',
    ],
    ['setunion(["b","a"],["a"])', 'set of string ["a","b"]'],
    ['setunion([1],["a"])', 'set of string ["1","a"]'],
    [
      'setunion([true],[1])',
      'error: e:1,1-10: Error in function call; Call to function "setunion" failed: given sets must all have compatible element types.',
    ],
    ['setunion([])', 'set of any single type []'],
    ['setunion([3,1,2],[10])', 'set of number [1,2,3,10]'],
    ['setunion([true,false])', 'set of bool [false,true]'],
    ['setunion([[1],[2]],[[1]])', 'set of tuple [[1],[2]]'],
  ],
  setproduct: [
    [
      'setproduct(1,2)',
      'error: e:1,12-13: Invalid function argument; Invalid value for "sets" parameter: a set or a list is required.',
    ],
    ['setproduct(["a","b"],[1,2])', 'list of tuple [["a",1],["a",2],["b",1],["b",2]]'],
    [
      'setproduct(["a"])',
      'error: e:1,1-12: Error in function call; Call to function "setproduct" failed: at least two arguments are required.',
    ],
    ['setproduct(["a"],[])', 'list of tuple []'],
    [
      'setproduct(["a"],"b")',
      'error: e:1,19-20: Invalid function argument; Invalid value for "sets" parameter: a set or a list is required.',
    ],
    ['setproduct([1,"a"],[true])', 'list of tuple [["1",true],["a",true]]'],
    ['setproduct(convert(["b","a"],set(string)),["x"])', 'set of tuple [["a","x"],["b","x"]]'],
    [
      'setproduct()',
      'error: e:1,1-12: Error in function call; Call to function "setproduct" failed: at least two arguments are required.',
    ],
  ],
  signum: [
    [
      'signum(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "num" parameter: argument must not be null.',
    ],
    ['signum(-5)', 'number -1'],
    ['signum(0)', 'number 0'],
    [
      'signum(1.5)',
      'error: e:1,1-8: Error in function call; Call to function "signum" failed: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
    [
      'signum("x")',
      'error: e:1,9-10: Invalid function argument; Invalid value for "num" parameter: a number is required.',
    ],
  ],
  slice: [
    [
      'slice(["a"],0)',
      'error: e:1,14-15: Not enough function arguments; Function "slice" expects 3 argument(s). Missing value for "end_index".',
    ],
    ['slice(["a","b","c"],1,2)', 'tuple ["b"]'],
    [
      'slice(["a"],2,1)',
      'error: e:1,13-14: Invalid function argument; Invalid value for "start_index" parameter: start index must not be greater than the length of the list.',
    ],
    [
      'slice(["a"],0,5)',
      'error: e:1,15-16: Invalid function argument; Invalid value for "end_index" parameter: end index must not be greater than the length of the list.',
    ],
    [
      'slice(["a"],-1,1)',
      'error: e:1,13-14: Invalid function argument; Invalid value for "start_index" parameter: start index must not be less than zero.',
    ],
    [
      'slice(["a"],0.5,1)',
      'error: e:1,13-16: Invalid function argument; Invalid value for "start_index" parameter: invalid start index: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
    [
      'slice(["a","b"],2,1)',
      'error: e:1,17-18: Invalid function argument; Invalid value for "start_index" parameter: start index must not be greater than end index.',
    ],
    [
      'slice("x",0,1)',
      'error: e:1,8-9: Invalid function argument; Invalid value for "list" parameter: must be a list or tuple value.',
    ],
    [
      'slice(convert(["a"],set(string)),0,1)',
      'error: e:1,7-15: Invalid function argument; Invalid value for "list" parameter: cannot slice a set, because its elements do not have indices; explicitly convert to a list if the ordering of the result is not important.',
    ],
    ['slice([1, 2, 3], 0, 0)', 'tuple []'],
  ],
  sort: [
    [
      'sort(null)',
      'error: e:1,6-10: Invalid function argument; Invalid value for "list" parameter: argument must not be null.',
    ],
    ['sort(["b","a","B"])', 'list of string ["B","a","b"]'],
    [
      'sort(["a",null])',
      'error: e:1,1-6: Error in function call; Call to function "sort" failed: given list element 1 is null; a null string cannot be sorted.',
    ],
    ['sort([10,9])', 'list of string ["10","9"]'],
    ['sort(["😀","\\uFFFD"])', 'list of string ["\ufffd","😀"]'],
    ['sort([])', 'list of string []'],
    [
      'sort("a")',
      'error: e:1,7-8: Invalid function argument; Invalid value for "list" parameter: list of string required.',
    ],
  ],
  split: [
    [
      'split(",")',
      'error: e:1,10-11: Not enough function arguments; Function "split" expects 2 argument(s). Missing value for "str".',
    ],
    ['split(",","a,b,,c")', 'list of string ["a","b","","c"]'],
    ['split(",","")', 'list of string [""]'],
    ['split("","abc")', 'list of string ["a","b","c"]'],
    ['split("","")', 'list of string []'],
    [
      'split(",", null)',
      'error: e:1,12-16: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    [
      'split([], "a")',
      'error: e:1,7-8: Invalid function argument; Invalid value for "separator" parameter: string required.',
    ],
  ],
  strlen: [
    ['strlen([])', 'error: e:1,8-9: Invalid function argument; Invalid value for "str" parameter: string required.'],
    ['strlen("👩‍👩‍👧‍👦é")', 'number 2'],
    ['strlen(12)', 'number 2'],
    ['strlen("")', 'number 0'],
    [
      'strlen(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['strlen("🇩🇪")', 'number 1'],
  ],
  strrev: [
    [
      'strrev(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['strrev("aé👩‍👩‍👧‍👦")', 'string "👩‍👩‍👧‍👦éa"'],
    ['strrev([])', 'error: e:1,8-9: Invalid function argument; Invalid value for "str" parameter: string required.'],
    ['strrev("")', 'string ""'],
  ],
  substr: [
    [
      'substr("a",0)',
      'error: e:1,13-14: Not enough function arguments; Function "substr" expects 3 argument(s). Missing value for "length".',
    ],
    ['substr("hello",1,3)', 'string "ell"'],
    ['substr("hello",-2,-1)', 'string "lo"'],
    ['substr("hello",-2,0)', 'string "lo"'],
    ['substr("hello",0,0)', 'string ""'],
    ['substr("hello",10,1)', 'string ""'],
    ['substr("hello",-10,2)', 'string "he"'],
    ['substr("hello",5,1)', 'string ""'],
    [
      'substr("hello",1.5,1)',
      'error: e:1,1-8: Error in function call; Call to function "substr" failed: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
  ],
  timeadd: [
    ['timeadd("2017-11-22T00:00:00Z", "1.5h")', 'string "2017-11-22T01:30:00Z"'],
    [
      'timeadd(null,"1h")',
      'error: e:1,9-13: Invalid function argument; Invalid value for "timestamp" parameter: argument must not be null.',
    ],
    ['timeadd("2017-11-22T00:00:00Z","10m")', 'string "2017-11-22T00:10:00Z"'],
    ['timeadd("2017-11-22T00:00:00Z","-1h30m")', 'string "2017-11-21T22:30:00Z"'],
    ['timeadd("2016-02-28T23:59:59.9Z","0.2s")', 'string "2016-02-29T00:00:00Z"'],
    ['timeadd("2017-11-22T00:00:00+02:00","24h")', 'string "2017-11-23T00:00:00+02:00"'],
    [
      'timeadd("2017-11-22","1h")',
      'error: e:1,1-9: Error in function call; Call to function "timeadd" failed: not a valid RFC3339 timestamp: missing required time introducer \'T\'.',
    ],
    ['timeadd("0001-01-01T00:00:00Z","1s")', 'string "0001-01-01T00:00:01Z"'],
    [
      'timeadd("2017-11-22T00:00:00Z", "x")',
      'error: e:1,1-9: Error in function call; Call to function "timeadd" failed: invalid duration "x": "x" is not a number; write a number with a unit, such as "30s", "5m" or "1h30m".',
    ],
    [
      'timeadd("x", "1h")',
      'error: e:1,1-9: Error in function call; Call to function "timeadd" failed: not a valid RFC3339 timestamp: cannot use "x" as year.',
    ],
  ],
  title: [
    ['title([])', 'error: e:1,7-8: Invalid function argument; Invalid value for "str" parameter: string required.'],
    ['title("hello wORLD don\'t x_y é\'a 1b -c")', 'string "Hello WORLD Don\'T X_y É\'A 1b -C"'],
    [
      'title(null)',
      'error: e:1,7-11: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
  ],
  trim: [
    [
      'trim("a")',
      'error: e:1,9-10: Not enough function arguments; Function "trim" expects 2 argument(s). Missing value for "cutset".',
    ],
    ['trim("??hi?!","!?")', 'string "hi"'],
    ['trim("aaa","a")', 'string ""'],
    [
      'trim("x", null)',
      'error: e:1,11-15: Invalid function argument; Invalid value for "cutset" parameter: argument must not be null.',
    ],
  ],
  trimprefix: [
    [
      'trimprefix(null,"a")',
      'error: e:1,12-16: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['trimprefix("foobar","foo")', 'string "bar"'],
    ['trimprefix("", "x")', 'string ""'],
    [
      'trimprefix("a")',
      'error: e:1,15-16: Not enough function arguments; Function "trimprefix" expects 2 argument(s). Missing value for "prefix".',
    ],
  ],
  trimsuffix: [
    [
      'trimsuffix(null,"a")',
      'error: e:1,12-16: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['trimsuffix("foobar","bar")', 'string "foo"'],
    ['trimsuffix("", "")', 'string ""'],
    [
      'trimsuffix("a", "b", "c")',
      'error: e:1,23-24: Too many function arguments; Function "trimsuffix" expects only 2 argument(s).',
    ],
  ],
  trimspace: [
    [
      'trimspace(null)',
      'error: e:1,11-15: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['trimspace("  a \\n\\u0085\\u00a0")', 'string "a"'],
    ['trimspace("\\ufeffa")', 'string "\ufeffa"'],
    [
      'trimspace([])',
      'error: e:1,11-12: Invalid function argument; Invalid value for "str" parameter: string required.',
    ],
  ],
  try: [
    [
      'try()',
      'error: e:1,1-5: Error in function call; Call to function "try" failed: at least one argument is required.',
    ],
    ['try(nope,1)', 'number 1'],
    [
      'try(nope)',
      'error: e:1,1-5: Error in function call; Call to function "try" failed: no expression succeeded:\n- Unknown variable (at e:1,5-9)\n  There is no variable named "nope".\n\nAt least one expression must produce a successful result.',
    ],
    [
      'try()',
      'error: e:1,1-5: Error in function call; Call to function "try" failed: at least one argument is required.',
    ],
    ['try({}.a,"x")', 'string "x"'],
  ],
  can: [
    [
      'can()',
      'error: e:1,5-6: Not enough function arguments; Function "can" expects 1 argument(s). Missing value for "expression".',
    ],
    ['can(1)', 'bool true'],
    ['can(nope)', 'bool false'],
    [
      'can()',
      'error: e:1,5-6: Not enough function arguments; Function "can" expects 1 argument(s). Missing value for "expression".',
    ],
  ],
  values: [
    [
      'values(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "mapping" parameter: argument must not be null.',
    ],
    ['values({b=1,a=2})', 'tuple [2,1]'],
    ['values({})', 'tuple []'],
    ['values(convert({b=1},map(number)))', 'list of number [1]'],
    [
      'values([1])',
      'error: e:1,1-8: Error in function call; Call to function "values" failed: values() requires a map as the first argument.',
    ],
    [
      'values("x")',
      'error: e:1,1-8: Error in function call; Call to function "values" failed: values() requires a map as the first argument.',
    ],
  ],
  zipmap: [
    [
      'zipmap(null,[])',
      'error: e:1,8-12: Invalid function argument; Invalid value for "keys" parameter: argument must not be null.',
    ],
    ['zipmap(["a","b"],[1,2])', 'object {"a":1,"b":2}'],
    [
      'zipmap(["a"],[1,2])',
      'error: e:1,1-8: Error in function call; Call to function "zipmap" failed: number of keys (1) does not match number of values (2).',
    ],
    [
      'zipmap(["a",null],[1,2])',
      'error: e:1,1-8: Error in function call; Call to function "zipmap" failed: keys list has null value at index 1.',
    ],
    [
      'zipmap(["a"],"x")',
      'error: e:1,1-8: Error in function call; Call to function "zipmap" failed: values argument must be a list or tuple value.',
    ],
    ['zipmap(["a"],convert([1],list(number)))', 'map of number {"a":1}'],
  ],
  nope: [['nope(1)', 'error: e:1,1-5: Call to unknown function; There is no function named "nope".']],
  operators: [
    ['1 == "1"', 'bool false'],
    ['[1,2] == [1,2]', 'bool true'],
    ['{a=1} == {a=1}', 'bool true'],
    ['0.1+0.2', 'number 0.3'],
    [
      '1/3',
      'number 0.33333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333335',
    ],
    ['10%3', 'number 1'],
    ['-10%3', 'number -1'],
    ['5.5%2', 'number 1.5'],
    ['2*3.0', 'number 6'],
    ['1e3', 'number 1000'],
    ['1e-3', 'number 0.001'],
    ['123456789012345678901234567890+1', 'number 123456789012345678901234567891'],
    ['1 < 2', 'bool true'],
    ['"a" < "b"', 'error: e:1,1-4: Invalid operand; Unsuitable value for left operand: a number is required.'],
    ['"10" > 9', 'bool true'],
    ['true && "true"', 'bool true'],
    ['!"false"', 'bool true'],
    ['[for k,v in {b=1,a=2}: "${k}${v}"]', 'tuple ["a2","b1"]'],
    ['[for x in convert(["c","a"],set(string)): x]', 'tuple ["a","c"]'],
    [
      '{for x in ["a","b","a"]: x => x}',
      'error: e:1,26-27: Duplicate object key; Two different items produced the key "a" in this \'for\' expression. If duplicates are expected, use the ellipsis (...) after the value expression to enable grouping by key.',
    ],
    ['{for x in ["a","b","a"]: x => x...}', 'object {"a":["a","a"],"b":["b"]}'],
    ['"${1.0}"', 'number 1'],
    [
      '"${1e100}"',
      'number 10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000',
    ],
    ['"${0.1+0.2}"', 'number 0.3'],
    [
      '"${1/3}"',
      'number 0.33333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333335',
    ],
    ['"${true}"', 'bool true'],
    ['"%{if true}a%{else}b%{endif}"', 'string "a"'],
    ['"%{for x in [1,2]}${x},%{endfor}"', 'string "1,2,"'],
    ['true ? 1 : "a"', 'string "1"'],
    ['true ? [1] : ["a",2]', 'list of string ["1"]'],
    ['true ? {a=1} : {b=2}', 'map of number {"a":1}'],
    ['[1,2,3][*]', 'tuple [1,2,3]'],
    ['[{a=1},{a=2}][*].a', 'tuple [1,2]'],
    ['null[*]', 'tuple []'],
    ['"a"[0]', 'error: e:1,4-7: Invalid index; This value does not have any indices.'],
    [
      '[1][1]',
      'error: e:1,4-7: Invalid index; The given key does not identify an element in this collection value: the given index is greater than or equal to the length of the collection.',
    ],
    [
      '{a=1}["b"]',
      'error: e:1,6-11: Invalid index; The given key does not identify an element in this collection value.',
    ],
  ],
  yamlencode: [
    [
      'yamlencode()',
      'error: e:1,12-13: Not enough function arguments; Function "yamlencode" expects 1 argument(s). Missing value for "value".',
    ],
    [
      'yamlencode({a=[[1,2],[],{}],b={c={d=1}}})',
      'string "\\"a\\":\\n- - 1\\n  - 2\\n- []\\n- {}\\n\\"b\\":\\n  \\"c\\":\\n    \\"d\\": 1\\n"',
    ],
    ['yamlencode([{a=1,b=2},[{}]])', 'string "- \\"a\\": 1\\n  \\"b\\": 2\\n- - {}\\n"'],
    ['yamlencode("x")', 'string "\\"x\\"\\n"'],
    ['yamlencode("a\\nb\\n")', 'string "|\\n  a\\n  b\\n"'],
    ['yamlencode({k="a\\nb\\n"})', 'string "\\"k\\": |\\n  a\\n  b\\n"'],
    ['yamlencode({k="a\\nb\\n\\n"})', 'string "\\"k\\": |+\\n  a\\n  b\\n\\n"'],
    ['yamlencode({k=" a\\nb"})', 'string "\\"k\\": |2-\\n   a\\n  b\\n"'],
    ['yamlencode({k="a \\nb"})', 'string "\\"k\\": \\"a \\\\nb\\"\\n"'],
    ['yamlencode({k="\\n"})', 'string "\\"k\\": |2+\\n\\n"'],
    [
      'yamlencode({k="é\\u0001\\ttab\\"q\\\\ \\U0001F600"})',
      'string "\\"k\\": \\"é\\\\x01\\\\ttab\\\\\\"q\\\\\\\\ \\\\U0001F600\\"\\n"',
    ],
    [
      'yamlencode({k="word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word "})',
      'string "\\"k\\": \\"word word word word word word word word word word word word word word word word\\n  word word word word word word word word word word word word word word word word\\n  word word word word word word word word \\"\\n"',
    ],
    ['yamlencode({"a\\nb"=1})', 'string "? |-\\n  a\\n  b\\n: 1\\n"'],
    ['yamlencode(["a\\nb",["c\\nd"]])', 'string "- |-\\n  a\\n  b\\n- - |-\\n    c\\n    d\\n"'],
    ['yamlencode([])', 'string "[]\\n"'],
    ['yamlencode({})', 'string "{}\\n"'],
    ['yamlencode(null)', 'string "null\\n...\\n"'],
    ['yamlencode(1.50)', 'string "1.5\\n...\\n"'],
    ['yamlencode({k="a\\n\\n b\\n"})', 'string "\\"k\\": |\\n  a\\n\\n   b\\n"'],
    ['yamlencode({k="\\ta\\nb"})', 'string "\\"k\\": \\"\\\\ta\\\\nb\\"\\n"'],
    ['yamlencode({k="a\\r\\nb"})', 'string "\\"k\\": \\"a\\\\r\\\\nb\\"\\n"'],
    ['yamlencode({k="x\\n---\\ny"})', 'string "\\"k\\": |-\\n  x\\n  ---\\n  y\\n"'],
    [
      'yamlencode({"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"=1})',
      'string "? \\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\\"\\n: 1\\n"',
    ],
    ['yamlencode({k="\\u00a0x\\u2028y\\ufeff"})', 'string "\\"k\\": \\"\u00a0x\\\\Ly\\\\uFEFF\\"\\n"'],
    [
      'yamlencode(toset(["b"]))',
      'error: e:1,12-17: Call to unknown function; There is no function named "toset". Write convert(value, set(any)), with the type of the elements for any.',
    ],
    ['yamlencode("\\n\\na")', 'string "|2-\\n\\n\\n  a\\n"'],
    ['yamlencode("# x\\ny")', 'string "|-\\n  # x\\n  y\\n"'],
    ['yamlencode(true)', 'string "true\\n...\\n"'],
    ['yamlencode({k="a\\n\\tb"})', 'string "\\"k\\": \\"a\\\\n\\\\tb\\"\\n"'],
  ],
  yamldecode: [
    [
      'yamldecode("")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 1: missing start of document.',
    ],
    ['yamldecode("a: 1")', 'object {"a":1}'],
    ['yamldecode("- a\\n- b: 2\\n  c: x y\\n-\\n  - z")', 'tuple ["a",{"b":2,"c":"x y"},["z"]]'],
    ['yamldecode("a: |-\\n  true")', 'object {"a":"true"}'],
    ['yamldecode("a: |\\n  x\\n   y\\n\\nb: >\\n  f\\n  g\\n\\n  h\\n")', 'object {"a":"x\\n y\\n","b":"f g\\nh\\n"}'],
    [
      'yamldecode("a: yes\\nb: ~\\nc: 0x1F\\nd: 1_000\\ne: 0o17\\nf: 017\\ng: .5\\nh: 1e3\\ni: 2020-01-02\\nj: \\"yes\\"\\nk: \'it\'\'s\'")',
      'object {"a":true,"b":null,"c":31,"d":"1_000","e":15,"f":17,"g":0.5,"h":1000,"i":"2020-01-02T00:00:00Z","j":"yes","k":"it\'s"}',
    ],
    [
      'yamldecode("x: &a {p: 1, q: [1, 2,]}\\ny: *a\\nz:\\n  <<: *a\\n  q: 3")',
      'object {"true":{"p":1,"q":[1,2]},"x":{"p":1,"q":[1,2]},"z":{"p":1,"q":3}}',
    ],
    ['yamldecode("a: 1\\na: 2")', 'object {"a":2}'],
    ['yamldecode("1: x\\ntrue: y")', 'object {"1":"x","true":true}'],
    [
      'yamldecode("a: b: c")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 5: mapping values are not allowed in this context.',
    ],
    ['yamldecode("{a: 1, b: , c}")', 'object {"a":1,"b":null,"c":null}'],
    ['yamldecode("\\"a\\" : \\"x\\\\u00e9\\\\n y\\"")', 'object {"a":"xé\\n y"}'],
    [
      'yamldecode("a: plain\\n  continued\\n\\n  more # c\\nb: x#y")',
      'object {"a":"plain continued\\nmore","b":"x#y"}',
    ],
    ['yamldecode("---\\na: 1\\n...\\n")', 'object {"a":1}'],
    [
      'yamldecode("a: 1\\n---\\nb: 2")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 2, column 1: unexpected extra content after value.',
    ],
    ['yamldecode("a:\\n- 1\\n- 2\\nb: 3")', 'object {"a":[1,2],"b":3}'],
    ['yamldecode("- - 1\\n  - 2\\n-   k: v")', 'tuple [[1,2],{"k":"v"}]'],
    ['yamldecode("!!str 5")', 'string "5"'],
    ['yamldecode("a: !!int \\"5\\"")', 'object {"a":"5"}'],
    ['yamldecode("? x\\n: y")', 'object {"x":true}'],
    ['yamldecode("a: \\"multi\\n  line\\n\\n  q\\"")', 'object {"a":"multi line\\nq"}'],
    [
      'yamldecode("- *zz")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 3: reference to undefined anchor "zz".',
    ],
    [
      'yamldecode("\\t- a")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 2: found character that cannot start any token.',
    ],
    [
      'yamldecode("a: [1, 2")',
      "error: e:1,1-12: Error in function call; Call to function \"yamldecode\" failed: on line 1, column 9: did not find expected ',' or ']'.",
    ],
    ['yamldecode("a: >-\\n  x\\n  y\\nb: |2\\n    z\\n")', 'object {"a":"x y","b":"  z\\n"}'],
    ['yamldecode("[a: 1, b]")', 'tuple [{"a":1},"b"]'],
    [
      'yamldecode("a: -1\\nb: +2\\nc: -\\nd: .inf\\n")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 3, column 4: block sequence entries are not allowed in this context.',
    ],
    [
      'yamldecode("# only comment")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 15: missing start of document.',
    ],
    [
      'yamldecode("a: \\"x\\" y")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 8: did not find expected key.',
    ],
    ['yamldecode("a: {b: [c, {d: e}]}\\n")', 'object {"a":{"b":["c",{"d":"e"}]}}'],
    ['yamldecode("null")', 'dynamic null'],
    ['yamldecode("a: 12:30:45")', 'object {"a":"12:30:45"}'],
    [
      'yamldecode("? [a]\\n: 1")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 2, column 4: only strings are allowed as mapping keys.',
    ],
    [
      'yamldecode("{1.5: a, ~: b}")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 14: mapping key cannot be null.',
    ],
    ['yamldecode("a: &x\\n  b: 1\\nc: *x")', 'object {"a":{"b":1},"c":{"b":1}}'],
    [
      'yamldecode("a: @x")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 4: found character that cannot start any token.',
    ],
    [
      'yamldecode("a: `x")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 4: found character that cannot start any token.',
    ],
    [
      'yamldecode("a: %x")',
      'error: e:1,1-12: Error in function call; Call to function "yamldecode" failed: on line 1, column 4: found character that cannot start any token.',
    ],
    ['yamldecode("a: 0x")', 'object {"a":"0x"}'],
    ['yamldecode("a: 1.2.3")', 'object {"a":"1.2.3"}'],
    ['yamldecode("2001-12-14t21:59:43.10-05:00")', 'string "2001-12-14T21:59:43-05:00"'],
    ['yamldecode("a: 2001-12-14 21:59:43.10")', 'object {"a":"2001-12-14T21:59:43Z"}'],
    [
      'yamldecode(null)',
      'error: e:1,12-16: Invalid function argument; Invalid value for "src" parameter: argument must not be null.',
    ],
  ],
  cidrhost: [
    [
      'cidrhost(null,1)',
      'error: e:1,10-14: Invalid function argument; Invalid value for "prefix" parameter: argument must not be null.',
    ],
    ['cidrhost("10.12.127.0/20", 16)', 'string "10.12.112.16"'],
    ['cidrhost("10.12.127.0/20", 268)', 'string "10.12.113.12"'],
    ['cidrhost("10.0.0.0/8", -1)', 'string "10.255.255.255"'],
    ['cidrhost("fd00:fd12:3456:7890:00a2::/72", 34)', 'string "fd00:fd12:3456:7890::22"'],
    [
      'cidrhost("10.0.0.0/30", 4)',
      'error: e:1,1-10: Error in function call; Call to function "cidrhost" failed: prefix of 30 does not accommodate a host numbered 4.',
    ],
    [
      'cidrhost("10.0.0.0", 4)',
      'error: e:1,1-10: Error in function call; Call to function "cidrhost" failed: invalid CIDR expression: invalid CIDR address: 10.0.0.0.',
    ],
    [
      'cidrhost("10.0.0.0/30", 1.5)',
      'error: e:1,1-10: Error in function call; Call to function "cidrhost" failed: value must be a whole number, between -9223372036854775808 and 9223372036854775807.',
    ],
    [
      'cidrhost("10.0.0.0/33", 1)',
      'error: e:1,1-10: Error in function call; Call to function "cidrhost" failed: invalid CIDR expression: invalid CIDR address: 10.0.0.0/33.',
    ],
    [
      'cidrhost("10.0.0.01/30", 1)',
      'error: e:1,1-10: Error in function call; Call to function "cidrhost" failed: invalid CIDR expression: invalid CIDR address: 10.0.0.01/30.',
    ],
  ],
  cidrnetmask: [
    ['cidrnetmask("172.16.0.0/12")', 'string "255.240.0.0"'],
    ['cidrnetmask("10.0.0.0/0")', 'string "0.0.0.0"'],
    ['cidrnetmask("fe80::/64")', 'string "ffff:ffff:ffff:ffff::"'],
    [
      'cidrnetmask("x/8")',
      'error: e:1,1-13: Error in function call; Call to function "cidrnetmask" failed: invalid CIDR expression: invalid CIDR address: x/8.',
    ],
  ],
  cidrsubnet: [
    ['cidrsubnet("172.16.0.0/12", 4, 2)', 'string "172.18.0.0/16"'],
    ['cidrsubnet("10.1.2.0/24", 4, 15)', 'string "10.1.2.240/28"'],
    ['cidrsubnet("fd00:fd12:3456:7890::/56", 16, 162)', 'string "fd00:fd12:3456:7800:a200::/72"'],
    [
      'cidrsubnet("10.1.2.0/24", 9, 0)',
      'error: e:1,1-12: Error in function call; Call to function "cidrsubnet" failed: insufficient address space to extend prefix of 24 by 9.',
    ],
    [
      'cidrsubnet("10.1.2.0/24", 2, 4)',
      'error: e:1,1-12: Error in function call; Call to function "cidrsubnet" failed: prefix extension of 2 does not accommodate a subnet numbered 4.',
    ],
    [
      'cidrsubnet("10.0.0.0/8", 33, 0)',
      'error: e:1,1-12: Error in function call; Call to function "cidrsubnet" failed: may not extend prefix by more than 32 bits.',
    ],
  ],
  cidrsubnets: [
    [
      'cidrsubnets("10.1.0.0/16", 4, 4, 8, 4)',
      'list of string ["10.1.0.0/20","10.1.16.0/20","10.1.32.0/24","10.1.48.0/20"]',
    ],
    ['cidrsubnets("fd00::/48", 16, 16)', 'list of string ["fd00::/64","fd00:0:0:1::/64"]'],
    ['cidrsubnets("10.1.0.0/16")', 'list of string []'],
    [
      'cidrsubnets("10.1.0.0/16", 0)',
      'error: e:1,28-29: Invalid function argument; Invalid value for "newbits" parameter: must extend prefix by at least one bit.',
    ],
    [
      'cidrsubnets("10.1.0.0/30", 1, 1, 1)',
      'error: e:1,34-35: Invalid function argument; Invalid value for "newbits" parameter: not enough remaining address space for a subnet with a prefix of 31 bits after 10.1.0.2/31.',
    ],
    [
      'cidrsubnets("10.1.0.0/30", 3)',
      'error: e:1,28-29: Invalid function argument; Invalid value for "newbits" parameter: would extend prefix to 33 bits, which is too long for an IPv4 address.',
    ],
    [
      'cidrsubnets("10.1.0.0", 3)',
      'error: e:1,14-22: Invalid function argument; Invalid value for "prefix" parameter: invalid CIDR expression: invalid CIDR address: 10.1.0.0.',
    ],
  ],
  md5: [
    [
      'md5(null)',
      'error: e:1,5-9: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['md5("")', 'string "d41d8cd98f00b204e9800998ecf8427e"'],
    ['md5("hello world")', 'string "5eb63bbbe01eeed093cb22bb8f5acdc3"'],
    ['md5(["a"])', 'error: e:1,5-6: Invalid function argument; Invalid value for "str" parameter: string required.'],
  ],
  sha1: [
    [
      'sha1(null)',
      'error: e:1,6-10: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['sha1("")', 'string "da39a3ee5e6b4b0d3255bfef95601890afd80709"'],
    ['sha1("hello world")', 'string "2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"'],
    [
      'sha1()',
      'error: e:1,6-7: Not enough function arguments; Function "sha1" expects 1 argument(s). Missing value for "str".',
    ],
  ],
  sha256: [
    ['sha256([])', 'error: e:1,8-9: Invalid function argument; Invalid value for "str" parameter: string required.'],
    ['sha256("")', 'string "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"'],
    ['sha256("hello world")', 'string "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"'],
    [
      'sha256(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
  ],
  sha512: [
    [
      'sha512(null)',
      'error: e:1,8-12: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    [
      'sha512("")',
      'string "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"',
    ],
    [
      'sha512("hello world")',
      'string "309ecc489c12d6eb4cc40f50c902f2b4d0ed77ee511a7c7a9bcd3ca86d4cd86f989dd35bc5ff499670da34255b45b0cfd830e81f605dcf7dc5542e93ae9cd76f"',
    ],
    [
      'sha512("a", "b")',
      'error: e:1,14-15: Too many function arguments; Function "sha512" expects only 1 argument(s).',
    ],
  ],
  uuidv5: [
    [
      'uuidv5(null,"a")',
      'error: e:1,8-12: Invalid function argument; Invalid value for "namespace" parameter: argument must not be null.',
    ],
    ['uuidv5("dns", "www.terraform.io")', 'string "a5008fae-b28c-5ba5-96cd-82b4c53552d6"'],
    ['uuidv5("url", "https://example.com/")', 'string "dd2c1780-811a-5296-81c5-178a0ef488bc"'],
    ['uuidv5("6ba7b814-9dad-11d1-80b4-00c04fd430c8", "CN=a")', 'string "c4756781-662d-5713-b245-06d2e6262fc5"'],
    [
      'uuidv5("x", "y")',
      'error: e:1,1-8: Error in function call; Call to function "uuidv5" failed: uuidv5() doesn\'t support namespace x (it is no UUID, nor dns, url, oid or x500).',
    ],
  ],
  base64encode: [
    [
      'base64encode(null)',
      'error: e:1,14-18: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['base64encode("héllo")', 'string "aMOpbGxv"'],
    ['base64encode("")', 'string ""'],
    [
      'base64encode([])',
      'error: e:1,14-15: Invalid function argument; Invalid value for "str" parameter: string required.',
    ],
  ],
  base64decode: [
    [
      'base64decode(null)',
      'error: e:1,14-18: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['base64decode("aMOpbGxv")', 'string "héllo"'],
    [
      'base64decode("a")',
      'error: e:1,1-14: Error in function call; Call to function "base64decode" failed: failed to decode base64 data \'a\'.',
    ],
    [
      'base64decode("/w==")',
      'error: e:1,1-14: Error in function call; Call to function "base64decode" failed: the result of decoding the provided string is not valid UTF-8.',
    ],
    ['base64decode("aGk\\n=")', 'string "hi"'],
  ],
  urlencode: [
    [
      'urlencode(null)',
      'error: e:1,11-15: Invalid function argument; Invalid value for "str" parameter: argument must not be null.',
    ],
    ['urlencode("a b&c/é*~-_.")', 'string "a+b%26c%2F%C3%A9%2A~-_."'],
    ['urlencode("")', 'string ""'],
    [
      'urlencode({})',
      'error: e:1,11-12: Invalid function argument; Invalid value for "str" parameter: string required.',
    ],
  ],
  rsadecrypt: [
    [
      'rsadecrypt("x", "y")',
      'error: e:1,1-12: Error in function call; Call to function "rsadecrypt" failed: failed to decode input "x": cipher text must be base64-encoded.',
    ],
    [
      'rsadecrypt("eA==", "y")',
      'error: e:1,1-12: Error in function call; Call to function "rsadecrypt" failed: failed to parse key: no key found.',
    ],
    [
      'rsadecrypt("eA==")',
      'error: e:1,18-19: Not enough function arguments; Function "rsadecrypt" expects 2 argument(s). Missing value for "privatekey".',
    ],
  ],
  file: [
    [
      'file("x")',
      'error: e:1,1-6: Error in function call; Call to function "file" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  filebase64: [
    [
      'filebase64("x")',
      'error: e:1,1-12: Error in function call; Call to function "filebase64" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  fileexists: [
    [
      'fileexists("x")',
      'error: e:1,1-12: Error in function call; Call to function "fileexists" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  fileset: [
    [
      'fileset(".", "*")',
      'error: e:1,1-9: Error in function call; Call to function "fileset" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  abspath: [
    [
      'abspath(".")',
      'error: e:1,1-9: Error in function call; Call to function "abspath" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  basename: [
    [
      'basename("a/b")',
      'error: e:1,1-10: Error in function call; Call to function "basename" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  dirname: [
    [
      'dirname("a/b")',
      'error: e:1,1-9: Error in function call; Call to function "dirname" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  pathexpand: [
    [
      'pathexpand("~")',
      'error: e:1,1-12: Error in function call; Call to function "pathexpand" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  templatefile: [
    [
      'templatefile("x", {})',
      'error: e:1,1-14: Error in function call; Call to function "templatefile" failed: filesystem functions are disabled here: only a job file that the command line reads can use them.',
    ],
  ],
  bcrypt: [
    [
      'bcrypt("x")',
      'error: e:1,1-8: Error in function call; Call to function "bcrypt" failed: this function needs randomness, which is not available here.',
    ],
    [
      'bcrypt("x", 32)',
      'error: e:1,1-8: Error in function call; Call to function "bcrypt" failed: error occured generating password crypto/bcrypt: cost 32 is outside allowed range (4,31).',
    ],
  ],
  uuidv4: [
    [
      'uuidv4()',
      'error: e:1,1-8: Error in function call; Call to function "uuidv4" failed: this function needs randomness, which is not available here.',
    ],
    ['uuidv4(1)', 'error: e:1,8-9: Too many function arguments; Function "uuidv4" expects only 0 argument(s).'],
  ],
  tostring: [
    [
      'tostring(1)',
      'error: e:1,1-9: Call to unknown function; There is no function named "tostring". Write convert(value, string).',
    ],
  ],
  regex: [
    [
      'regex("a", "b")',
      'error: e:1,1-6: Call to unknown function; There is no function named "regex". Write regex_replace(text, pattern, replacement), with $1 for a group in the replacement.',
    ],
  ],
  startswith: [
    [
      'startswith("a", "b")',
      'error: e:1,1-11: Call to unknown function; There is no function named "startswith". Write substr(text, 0, strlen(prefix)) == prefix.',
    ],
  ],
  timestamp: [
    [
      'timestamp()',
      'error: e:1,1-10: Call to unknown function; There is no function named "timestamp". A job file has no clock; give the time as a variable.',
    ],
  ],
};
