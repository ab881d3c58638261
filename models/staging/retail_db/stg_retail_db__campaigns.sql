with source as (

    select * from {{ source('retail_db', 'campaigns') }}

),

renamed as (

    select
        -- ids
        {{ source_key('retail_db', 'campaign_id') }} as campaign_id,
        {{ source_key('retail_db', 'household_id') }} as household_id,

        -- strings
        _dlt_load_id as load_id

    from source

)

select * from renamed
