{{/* The API's settings that are no secrets: api.config, and what the chart itself knows. */}}
{{- define "farmlokal.apiConfig" -}}
{{- $shutdown := sub (int .Values.api.terminationGracePeriodSeconds) (add (int .Values.api.shutdownDelaySeconds) 5) -}}
{{- if lt $shutdown 1 -}}
{{- fail (printf "api.terminationGracePeriodSeconds is %d: it must be at least 6 s above api.shutdownDelaySeconds, which is %d" (int .Values.api.terminationGracePeriodSeconds) (int .Values.api.shutdownDelaySeconds)) -}}
{{- end -}}
{{- /* A cache or an index that grows must not end the pod. */ -}}
{{- with ((.Values.api.resources).limits).memory -}}
{{- $limit := include "farmlokal.mib" . | int64 -}}
{{- $index := include "farmlokal.mib" (default "256MiB" $.Values.api.config.SEARCH_MEMORY) | int64 -}}
{{- if or $.Values.api.search.existingSecret $.Values.api.search.url -}}
{{- /* What a pod holds that writes many changes to OpenSearch at once. */ -}}
{{- $index = 64 -}}
{{- end -}}
{{- $cache := ternary 0 (int64 (default 64 $.Values.api.config.LOCAL_CACHE_MIB)) (eq (toString $.Values.api.config.LOCAL_CACHE) "false") -}}
{{- if gt (add $cache $index 128) $limit -}}
{{- fail (printf "api.config: LOCAL_CACHE_MIB and SEARCH_MEMORY are %d and %d MiB: api.resources.limits.memory must be at least 128 MiB above their sum, and is %v" (int64 $cache) (int64 $index) .) -}}
{{- end -}}
{{- end -}}
{{- $config := dict
  "HOST" .Values.listen
  "PORT" "5000"
  "MANAGEMENT_PORT" "9090"
  "SHUTDOWN_DELAY" (printf "%ds" (int .Values.api.shutdownDelaySeconds))
  "SHUTDOWN_TIMEOUT" (printf "%ds" $shutdown)
-}}
{{- if .Values.api.search.synonyms -}}
{{- $_ := set $config "SEARCH_SYNONYMS" "/etc/farmlokal/search/synonyms" -}}
{{- end -}}
{{- with .Values.ingress -}}
{{- if or .enabled $.Values.gateway.enabled -}}
{{- range $variable, $value := dict "TRUSTED_HOPS" "trustedHops" "TRUSTED_PROXIES" "trustedProxies" -}}
{{- if hasKey $.Values.api.config $variable -}}
{{- fail (printf "api.config.%s: with ingress.enabled or gateway.enabled set ingress.%s instead" $variable $value) -}}
{{- end -}}
{{- end -}}
{{- with .trustedProxies -}}
{{- $_ := set $config "TRUSTED_PROXIES" (join "," .) -}}
{{- end -}}
{{- $_ := set $config "TRUSTED_HOPS" (toString .trustedHops) -}}
{{- end -}}
{{- end -}}
{{- $partners := include "farmlokal.partners" . | fromYaml -}}
{{- range $variable, $key := dict
  "OAUTH_TOKEN_URL" "tokenUrl"
  "OAUTH_CLIENT_ID" "clientId"
  "OAUTH_AUDIENCE" "audience"
  "OAUTH_SCOPE" "scope"
  "OAUTH_CLIENT_AUTH" "clientAuth"
  "API_A_URL" "apiAUrl"
  "API_B_URL" "apiBUrl"
  "WEBHOOK_CALLBACK_URL" "callbackUrl"
-}}
{{- with get $partners $key -}}
{{- $_ := set $config $variable . -}}
{{- end -}}
{{- end -}}
{{- $auth := include "farmlokal.auth" . | fromYaml -}}
{{- range $variable, $key := dict
  "AUTH_ISSUER" "issuer"
  "AUTH_AUDIENCE" "audience"
  "AUTH_JWKS_URL" "jwksUrl"
  "AUTH_TOKEN_URL" "tokenUrl"
  "AUTH_SCOPE" "scope"
  "AUTH_LEEWAY" "leeway"
-}}
{{- with get $auth $key -}}
{{- $_ := set $config $variable . -}}
{{- end -}}
{{- end -}}
{{- range $variable, $value := .Values.api.config -}}
{{- /* A number of YAML is a float here: 1000000 must not become 1e+06. */ -}}
{{- $text := ternary (toString (int64 $value)) (toString $value) (and (kindIs "float64" $value) (eq (float64 (int64 $value)) (float64 $value))) -}}
{{- $_ := set $config $variable $text -}}
{{- end -}}
{{- range $variable, $value := $config }}
{{ $variable }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{/* Mebibytes, rounded down, of a quantity of Kubernetes or a size as the API reads it: 768Mi, 1.5G, 805306368, 256 MiB. */}}
{{- define "farmlokal.mib" -}}
{{- $text := kindIs "string" . | ternary . (printf "%.0f" (float64 .)) -}}
{{- $units := dict "m" 0.001 "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- $unit := get $units (regexReplaceAll "^[0-9.]+ ?|B$" $text "") -}}
{{- divf (mulf (regexFind "^[0-9.]+" $text | float64) $unit) 1048576 | floor | int64 -}}
{{- end -}}

{{/* What the API's answers are made by and from: the end of its image's name, and a checksum of that and of its settings. */}}
{{- define "farmlokal.apiVersion" -}}
{{- $image := include "farmlokal.image" (list . "api") | trimAll "\"" -}}
{{- $settings := list $image (include "farmlokal.apiConfig" .) (include "farmlokal.databaseEnv" (list . "" dict)) .Values.api.search -}}
{{- $settings = concat $settings (default list .Values.api.extraEnv) (default list .Values.api.envFrom) -}}
{{- printf "%s-%s" (regexFind "[^:]+$" $image | trunc 20) (toJson $settings | sha256sum | trunc 10) | quote -}}
{{- end -}}

{{/* What the chart's own Secret holds: only what values give in the clear. */}}
{{- define "farmlokal.secrets" -}}
{{- if and .Values.database.password (not .Values.database.existingSecret) }}
DB_PASS: {{ .Values.database.password | b64enc }}
{{- end }}
{{- if and .Values.redis.password (not .Values.redis.existingSecret) }}
REDIS_PASSWORD: {{ .Values.redis.password | b64enc }}
{{- end }}
{{- $partners := include "farmlokal.partners" . | fromYaml }}
{{- with $partners.clientSecret }}
OAUTH_CLIENT_SECRET: {{ . | b64enc }}
{{- end }}
{{- with $partners.webhookSecrets }}
WEBHOOK_SECRETS: {{ . | b64enc }}
{{- end }}
{{- end -}}
