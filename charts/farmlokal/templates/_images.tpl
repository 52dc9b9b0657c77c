{{/*
The image of a component: its own `image`, or image.* and its name. Of the name's registry, global.imageRegistry takes the place.
Takes (list $ component).
*/}}
{{- define "farmlokal.image" -}}
{{- $ := index . 0 -}}
{{- $own := (get $.Values (index . 1)).image -}}
{{- $name := default (printf "%s/farmlokal-%s" (trimSuffix "/" $.Values.image.registry) (index . 1)) $own.repository -}}
{{- with ($.Values.global).imageRegistry -}}
{{- /* As Docker tells a registry from the beginning of a path. */ -}}
{{- $name = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $name "") -}}
{{- end -}}
{{- if $own.digest -}}
{{- printf "%s@%s" $name $own.digest | quote -}}
{{- else -}}
{{- printf "%s:%s" $name (default $.Chart.AppVersion (default $.Values.image.tag $own.tag)) | quote -}}
{{- end -}}
{{- end -}}

{{/* The Secrets of imagePullSecrets and of global.imagePullSecrets, which are names or objects as elsewhere. */}}
{{- define "farmlokal.imagePullSecrets" -}}
{{- $names := list -}}
{{- range concat (default list (.Values.global).imagePullSecrets) (default list .Values.imagePullSecrets) -}}
{{- if kindIs "map" . -}}
{{- $names = append $names .name -}}
{{- else -}}
{{- $names = append $names . -}}
{{- end -}}
{{- end -}}
{{- with $names -}}
imagePullSecrets:
  {{- range uniq . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end -}}
{{- end -}}
