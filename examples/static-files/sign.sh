#!/bin/sh
# Print a signed URL: sign.sh PATH SECONDS, such as sign.sh "/films/a film.mp4" 3600.
# PATH is the file's path below nginx's root, as it is: nothing in it is decoded.
set -eu

host=https://files.example.com
signer_file=/run/renewer/files.json

refuse() {
  echo "sign.sh PATH SECONDS: $1" >&2
  exit 1
}

# Prints a value of the signer's file; they have letters, digits, - and _ only.
value() {
  printf '%s' "$key" | tr -d '\n' | sed -n "s/.*\"$1\": *\"\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p"
}

# Percent-encodes a path, byte by byte, but for what may stand in one (RFC 3986, section 3.3).
encoded() {
  for byte in $(printf '%s' "$1" | od -A n -v -t x1 | tr a-f A-F); do
    case $byte in
      2[146789A-F] | 3[0-9ABD] | 4? | 5[0-9AF] | 6[1-9A-F] | 7[0-9AE])
        # shellcheck disable=SC2059
        printf "\\$(printf '%03o' "0x$byte")" ;;
      *) printf '%%%s' "$byte" ;;
    esac
  done
}

path=${1:-} seconds=${2:-}
key=$(cat "$signer_file") # at every call and at once: the key is replaced now and then
grace=$(value grace)
case $path in /*) ;; *) refuse "the path begins with /" ;; esac
case $seconds in '' | 0* | *[!0-9]* | ??????????*) refuse "the seconds are 1 to $grace" ;; esac
[ "$seconds" -le "$grace" ] || refuse "the seconds are 1 to $grace"

# printf is the shell's own and openssl reads its input, so ps never shows the secret.
expires=$(($(date +%s) + seconds))
md5=$(printf '%s' "$expires$path $(value secret)" | openssl dgst -md5 -binary | openssl base64 | tr '+/' '-_' | tr -d '=')
echo "$host$(encoded "$path")?k=$(value k)&expires=$expires&md5=$md5"
