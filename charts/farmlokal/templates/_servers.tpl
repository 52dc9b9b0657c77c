{{/* What is wrong with the values of the two servers, and with keys of Secrets. */}}
{{- define "farmlokal.checkServers" -}}
{{- /* A key without its Secret would be ignored; those of values.yaml mean nothing by themselves. */ -}}
{{- $ignored := list "" "DB_PASS" "REDIS_PASSWORD" "ca.crt" "OAUTH_CLIENT_SECRET" "WEBHOOK_SECRETS" -}}
{{- range $section := list "database" "database.tls" "redis" "redis.tls" "migrate.database" "partners" -}}
{{- $values := $.Values -}}
{{- range splitList "." $section -}}
{{- $values = get $values . -}}
{{- end -}}
{{- range $name, $value := $values -}}
{{- if and (hasSuffix "Key" $name) (not (has $value $ignored)) (not $values.existingSecret) -}}
{{- fail (printf "%s.%s needs %s.existingSecret" $section $name $section) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $server := list "database" "redis" -}}
{{- $tls := (get $.Values $server).tls -}}
{{- if ne (empty $tls.certKey) (empty $tls.keyKey) -}}
{{- fail (printf "%s.tls.certKey and %s.tls.keyKey go together" $server $server) -}}
{{- end -}}
{{- if and $tls.existingSecret (not $tls.caKey) (not $tls.certKey) -}}
{{- fail (printf "%s.tls.existingSecret needs %s.tls.caKey or %s.tls.certKey" $server $server $server) -}}
{{- end -}}
{{- end -}}
{{- with .Values.database -}}
{{- if and .replica.urlKey (not .existingSecret) -}}
{{- fail "database.replica.urlKey needs database.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- with .Values.database.tls -}}
{{- if and .existingSecret .caKey (not (has .mode (list "" "VERIFY_IDENTITY"))) -}}
{{- fail (printf "database.tls.mode is %s, but a CA of one's own is checked by VERIFY_IDENTITY only: set that, or an empty database.tls.caKey" .mode) -}}
{{- end -}}
{{- if and .existingSecret (eq .mode "DISABLED") -}}
{{- fail "database.tls.mode is DISABLED, and database.tls.existingSecret is set" -}}
{{- end -}}
{{- end -}}
{{- with .Values.redis -}}
{{- if and .tls.existingSecret (not .tls.enabled) -}}
{{- fail "redis.tls.existingSecret needs redis.tls.enabled" -}}
{{- end -}}
{{- if and .username (not .password) (not .existingSecret) -}}
{{- fail "redis.username needs a password: redis.existingSecret, or redis.password" -}}
{{- end -}}
{{- end -}}
{{- with .Values.migrate.database -}}
{{- if and .user (not .existingSecret) -}}
{{- fail "migrate.database.user needs migrate.database.existingSecret" -}}
{{- end -}}
{{- if and .existingSecret (not .urlKey) $.Values.database.urlKey -}}
{{- fail "migrate.database.existingSecret needs migrate.database.urlKey: database.urlKey says where the database is" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where the database is. Takes (list $ name-of-the-Secret-with-DB_PASS account), where an account has a Secret of its own. */}}
{{- define "farmlokal.databaseEnv" -}}
{{- $ := index . 0 -}}
{{- $database := $.Values.database -}}
{{- with index . 2 -}}
{{- if .existingSecret -}}
{{- $database = merge (dict "user" (default $database.user .user)) (pick . "existingSecret" "passwordKey" "urlKey") $database -}}
{{- end -}}
{{- end -}}
{{- if and $database.existingSecret $database.urlKey -}}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $database.existingSecret | quote }}
      key: {{ $database.urlKey | quote }}
{{- else -}}
- name: DB_HOST
  value: {{ $database.host | quote }}
- name: DB_PORT
  value: {{ $database.port | quote }}
- name: DB_NAME
  value: {{ $database.name | quote }}
- name: DB_USER
  value: {{ $database.user | quote }}
{{- if or $database.existingSecret $database.password }}
- name: DB_PASS
  valueFrom:
    secretKeyRef:
      {{- if $database.existingSecret }}
      name: {{ $database.existingSecret | quote }}
      key: {{ $database.passwordKey | quote }}
      {{- else }}
      name: {{ index . 1 }}
      key: DB_PASS
      {{- end }}
{{- end }}
{{- end }}
{{- with default (ternary "" "VERIFY_IDENTITY" (empty $database.tls.existingSecret)) $database.tls.mode }}
- name: DB_TLS
  value: {{ . }}
{{- end }}
{{- include "farmlokal.tlsEnv" (list "DB_TLS" "database" $database.tls) }}
{{- end -}}

{{/* Where the API may read beside the database. */}}
{{- define "farmlokal.replicaEnv" -}}
{{- $database := .Values.database -}}
{{- with $database.replica -}}
{{- if or .urlKey .host -}}
- name: DATABASE_READ_URL
  {{- if .urlKey }}
  valueFrom:
    secretKeyRef:
      name: {{ $database.existingSecret | quote }}
      key: {{ .urlKey | quote }}
  {{- else }}
  value: {{ printf "mysql://%s:%v" (ternary (printf "[%s]" .host) .host (contains ":" .host)) .port | quote }}
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where OpenSearch is. */}}
{{- define "farmlokal.searchEnv" -}}
{{- with .Values.api.search -}}
{{- if or .existingSecret .url -}}
- name: SEARCH_URL
  {{- if .existingSecret }}
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret | quote }}
      key: {{ .urlKey | quote }}
  {{- else }}
  value: {{ .url | quote }}
  {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where Redis is. */}}
{{- define "farmlokal.redisEnv" -}}
{{- with .Values.redis -}}
{{- if and .existingSecret .urlKey -}}
- name: REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .existingSecret | quote }}
      key: {{ .urlKey | quote }}
{{- else -}}
- name: REDIS_HOST
  value: {{ .host | quote }}
- name: REDIS_PORT
  value: {{ .port | quote }}
{{- with .username }}
- name: REDIS_USERNAME
  value: {{ . | quote }}
{{- end }}
{{- if or .existingSecret .password }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ default (include "farmlokal.fullname" $) .existingSecret | quote }}
      key: {{ ternary "REDIS_PASSWORD" .passwordKey (empty .existingSecret) | quote }}
{{- end }}
{{- end }}
{{- if .tls.enabled }}
- name: REDIS_TLS
  value: "true"
{{- end }}
{{- include "farmlokal.tlsEnv" (list "REDIS_TLS" "redis" .tls) }}
{{- end -}}
{{- end -}}

{{/* Where the files for TLS are. Takes (list prefix-of-the-variables server tls). */}}
{{- define "farmlokal.tlsEnv" -}}
{{- $ := . -}}
{{- with index . 2 -}}
{{- if .existingSecret -}}
{{- range $variable, $key := dict "CA" .caKey "CERT" .certKey "KEY" .keyKey -}}
{{- if $key }}
- name: {{ index $ 0 }}_{{ $variable }}
  value: {{ printf "/etc/farmlokal/tls/%s/%s" (index $ 1) $key | quote }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volumes of these files. Takes (list $ server...). */}}
{{- define "farmlokal.tlsVolumes" -}}
{{- $ := first . -}}
{{- range $server := rest . -}}
{{- with (get $.Values $server).tls -}}
{{- if .existingSecret }}
- name: {{ $server }}-tls
  secret:
    secretName: {{ .existingSecret | quote }}
    items:
      {{- range compact (list .caKey .certKey .keyKey) | uniq }}
      - key: {{ . | quote }}
        path: {{ . | quote }}
      {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where they are mounted. Takes the same. */}}
{{- define "farmlokal.tlsMounts" -}}
{{- $ := first . -}}
{{- range $server := rest . -}}
{{- if (get $.Values $server).tls.existingSecret }}
- name: {{ $server }}-tls
  mountPath: /etc/farmlokal/tls/{{ $server }}
  readOnly: true
{{- end -}}
{{- end -}}
{{- end -}}
